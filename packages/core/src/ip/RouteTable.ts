/**
 * Longest-prefix match over IPv4 networks.
 *
 * One map per prefix length, and a list of the lengths in use: a lookup tries
 * only those, longest first, so it costs at most 33 map reads however many
 * networks there are, and allocates nothing. Addresses are unsigned 32-bit
 * integers; the host bits of a network are zero.
 */
import { netmask } from "../wire/Address.ts"

export interface Prefix {
  readonly network: number
  readonly prefixLength: number
}

const MASKS: ReadonlyArray<number> = Array.from({ length: 33 }, (_, length) => netmask(length))

export class RouteTable<A> {
  /** Keys are signed: V8 keeps those out of the heap, and finds them faster. */
  private readonly byLength: Array<Map<number, A>> = Array.from({ length: 33 }, () => new Map())
  /** The prefix lengths in use, longest first. */
  private lengths: Array<number> = []
  private count = 0

  /** How many networks there are. */
  get size(): number {
    return this.count
  }

  /** The value of the longest prefix that contains `address`. */
  lookup(address: number): A | undefined {
    const lengths = this.lengths
    for (let index = 0; index < lengths.length; index++) {
      const length = lengths[index]!
      const found = this.byLength[length]!.get(address & MASKS[length]!)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The value of exactly that prefix. */
  get(network: number, prefixLength: number): A | undefined {
    return this.byLength[prefixLength]!.get(network | 0)
  }

  /** Adds a network, or replaces its value. */
  insert(network: number, prefixLength: number, value: A): void {
    const map = this.byLength[prefixLength]!
    if (!map.has(network | 0)) this.count++
    map.set(network | 0, value)
    if (map.size === 1) this.findLengths()
  }

  /** Whether the network was there. */
  remove(network: number, prefixLength: number): boolean {
    const map = this.byLength[prefixLength]!
    if (!map.delete(network | 0)) return false
    this.count--
    if (map.size === 0) this.findLengths()
    return true
  }

  /** All networks, the longest prefixes first. */
  *entries(): Generator<Prefix & { readonly value: A }> {
    for (const prefixLength of this.lengths) {
      for (const [network, value] of this.byLength[prefixLength]!) {
        yield { network: network >>> 0, prefixLength, value }
      }
    }
  }

  private findLengths(): void {
    this.lengths = this.byLength.flatMap((map, length) => map.size > 0 ? [length] : []).toReversed()
  }
}
