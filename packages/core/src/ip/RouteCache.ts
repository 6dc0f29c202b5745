/**
 * What a table answered lately: a direct-mapped cache in front of a lookup.
 *
 * Whoever changes the table clears it. An answer of `undefined` is an answer.
 */
const SLOTS = 64

/** Knuth's multiplicative hash: neighbouring addresses fall into different slots. */
const slotOf = (address: number): number => Math.imul(address, 0x9e37_79b1) >>> 26

export class RouteCache<A> {
  /** -1 where there is nothing: no address is negative. */
  private readonly addresses = new Float64Array(SLOTS).fill(-1)
  private readonly answers: Array<A | undefined> = Array.from({ length: SLOTS }, () => undefined)

  has(address: number): boolean {
    return this.addresses[slotOf(address)] === address
  }

  /** Only after `has` said yes. */
  get(address: number): A | undefined {
    return this.answers[slotOf(address)]
  }

  set(address: number, answer: A | undefined): A | undefined {
    const slot = slotOf(address)
    this.addresses[slot] = address
    this.answers[slot] = answer
    return answer
  }

  clear(): void {
    this.addresses.fill(-1)
    this.answers.fill(undefined)
  }
}
