/**
 * Who has which port: the rules by which two sockets conflict, and by which an arriving datagram finds its socket.
 *
 * Addresses are unsigned 32-bit integers; address 0 stands for all addresses of the host, and remote port 0 for any
 * peer.
 */

/** A socket as the table sees it. */
export interface Binding {
  readonly address: number
  readonly port: number
  readonly remoteAddress: number
  readonly remotePort: number
  /** Whether it shares its address and port with others that say so too. */
  readonly shared: boolean
}

/** RFC 6335 §6: the dynamic ports. */
export const EPHEMERAL_FIRST = 49152
export const EPHEMERAL_COUNT = 16384

export class PortTable<B extends Binding> {
  private readonly bindings = new Map<number, Array<B>>()

  /** Two sockets conflict on a port when either has all addresses or both have the same one, unless both share. */
  conflicts(address: number, port: number, shared: boolean): boolean {
    const others = this.bindings.get(port)
    return others !== undefined &&
      others.some((other) =>
        (address === 0 || other.address === 0 || other.address === address) && !(shared && other.shared)
      )
  }

  /**
   * A port that nobody has on `address`, or undefined: the first free one from a random place on (RFC 6056 §3.3.1).
   * `below` draws a uniform integer under its argument.
   */
  ephemeral(address: number, below: (bound: number) => number): number | undefined {
    const start = below(EPHEMERAL_COUNT)
    for (let step = 0; step < EPHEMERAL_COUNT; step++) {
      const port = EPHEMERAL_FIRST + (start + step) % EPHEMERAL_COUNT
      if (!this.conflicts(address, port, false)) return port
    }
    return undefined
  }

  add(binding: B): void {
    const others = this.bindings.get(binding.port)
    if (others === undefined) this.bindings.set(binding.port, [binding])
    else others.push(binding)
  }

  remove(binding: B): void {
    const others = this.bindings.get(binding.port)
    const index = others?.indexOf(binding) ?? -1
    if (index < 0) return
    others!.splice(index, 1)
    if (others!.length === 0) this.bindings.delete(binding.port)
  }

  /**
   * The socket for a datagram: one connected to its source is preferred to one that is not, then one that has its
   * very destination to one that has all addresses, then the one bound last.
   */
  find(destination: number, port: number, source: number, sourcePort: number): B | undefined {
    const candidates = this.bindings.get(port)
    if (candidates === undefined) return undefined
    let best: B | undefined
    let bestRank = -1
    for (const candidate of candidates) {
      if (!accepts(candidate, destination, source, sourcePort)) continue
      const rank = (candidate.remotePort === 0 ? 0 : 2) + (candidate.address === 0 ? 0 : 1)
      if (rank < bestRank) continue
      best = candidate
      bestRank = rank
    }
    return best
  }

  /** All sockets for a datagram, as a broadcast or multicast has them. */
  findAll(destination: number, port: number, source: number, sourcePort: number): ReadonlyArray<B> {
    const candidates = this.bindings.get(port)
    return candidates?.filter((candidate) => accepts(candidate, destination, source, sourcePort)) ?? []
  }

  all(): ReadonlyArray<B> {
    return [...this.bindings.values()].flat()
  }
}

const accepts = (binding: Binding, destination: number, source: number, sourcePort: number): boolean =>
  (binding.address === 0 || binding.address === destination) &&
  (binding.remotePort === 0 || (binding.remoteAddress === source && binding.remotePort === sourcePort))
