/**
 * Connections by their four numbers: a chained hash table whose lookup makes
 * no key and allocates nothing.
 *
 * The hash is keyed with a secret, so that a peer who chooses ports and
 * addresses cannot make all its connections share a chain.
 */
import type { Endpoints } from "./ControlBlock.ts"

/** What stands in the table; the table owns `next`. */
export interface Entry {
  readonly endpoints: Endpoints
  next: this | undefined
}

/** A power of two, as every number of chains. */
const SMALLEST = 16

const emptyChains = (length: number): Array<undefined> => Array.from({ length }, () => undefined)

export class ConnectionTable<A extends Entry & { next: A | undefined }> implements Iterable<A> {
  private chains: Array<A | undefined> = emptyChains(SMALLEST)
  private count = 0
  private readonly secret: number

  /** `secret` is an unsigned 32-bit integer. */
  constructor(secret: number) {
    this.secret = secret
  }

  get size(): number {
    return this.count
  }

  get(localAddress: number, localPort: number, remoteAddress: number, remotePort: number): A | undefined {
    let entry = this.chains[this.slot(localAddress, localPort, remoteAddress, remotePort)]
    for (; entry !== undefined; entry = entry.next) {
      const is = entry.endpoints
      if (
        is.remotePort === remotePort && is.remoteAddress === remoteAddress &&
        is.localPort === localPort && is.localAddress === localAddress
      ) return entry
    }
    return undefined
  }

  /** Adds an entry whose endpoints are not in the table yet. */
  add(entry: A): void {
    if (this.count >= this.chains.length) this.grow()
    this.count++
    this.link(entry)
  }

  delete(entry: A): boolean {
    const slot = this.slotOf(entry.endpoints)
    let before: A | undefined = undefined
    for (let at = this.chains[slot]; at !== undefined; before = at, at = at.next) {
      if (at !== entry) continue
      if (before === undefined) this.chains[slot] = at.next
      else before.next = at.next
      entry.next = undefined
      this.count--
      return true
    }
    return false
  }

  /** All entries, in no particular order; the table may change meanwhile. */
  [Symbol.iterator](): Iterator<A> {
    const all: Array<A> = []
    for (let entry of this.chains) {
      for (; entry !== undefined; entry = entry.next) all.push(entry)
    }
    return all[Symbol.iterator]()
  }

  private link(entry: A): void {
    const slot = this.slotOf(entry.endpoints)
    entry.next = this.chains[slot]
    this.chains[slot] = entry
  }

  private grow(): void {
    const all = [...this]
    this.chains = emptyChains(this.chains.length * 2)
    for (const entry of all) this.link(entry)
  }

  private slotOf(endpoints: Endpoints): number {
    return this.slot(endpoints.localAddress, endpoints.localPort, endpoints.remoteAddress, endpoints.remotePort)
  }

  private slot(localAddress: number, localPort: number, remoteAddress: number, remotePort: number): number {
    let hash = Math.imul(this.secret ^ remoteAddress, 0x9e3779b1)
    hash = Math.imul((hash ^ (hash >>> 15)) + ((remotePort << 16) | localPort), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13) ^ localAddress, 0xc2b2ae35)
    return (hash ^ (hash >>> 16)) & (this.chains.length - 1)
  }
}
