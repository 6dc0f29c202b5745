/**
 * Which port a hardware address was last seen on.
 */

interface Entry {
  readonly port: number
  readonly seen: number
}

export class AddressTable {
  /** In the order in which they were last seen. */
  private readonly known = new Map<number, Entry>()
  private readonly capacity: number
  private readonly ageing: number

  /** `ageing` in milliseconds. */
  constructor(capacity: number, ageing: number) {
    this.capacity = capacity
    this.ageing = ageing
  }

  learn(address: number, port: number, now: number): void {
    this.known.delete(address)
    if (this.known.size >= this.capacity) this.known.delete(this.known.keys().next().value!)
    this.known.set(address, { port, seen: now })
  }

  lookup(address: number, now: number): number | undefined {
    const entry = this.known.get(address)
    if (entry === undefined) return undefined
    if (now - entry.seen < this.ageing) return entry.port
    this.known.delete(address)
    return undefined
  }

  entries(now: number): ReadonlyMap<number, number> {
    const fresh = [...this.known].filter(([, entry]) => now - entry.seen < this.ageing)
    return new Map(fresh.map(([address, entry]) => [address, entry.port]))
  }
}
