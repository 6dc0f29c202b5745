/**
 * Who lets connections in: listeners and passive OPENs, by port.
 */
import type { LiveConnection } from "./Connection.ts"
import type { Endpoints } from "./ControlBlock.ts"

/** Addresses are unsigned 32-bit integers; 0 is "any", as is a foreign port of 0. */
export interface Acceptor {
  readonly address: number
  readonly port: number
  readonly foreignAddress: number
  readonly foreignPort: number
  /** A connection in LISTEN for a SYN that arrived, or the name of the reason why it is dropped. */
  readonly admit: (endpoints: Endpoints, iss: number) => LiveConnection | string
  /** The stack is closing. */
  readonly close: () => void
}

const overlap = (a: number, b: number): boolean => a === b || a === 0 || b === 0

/** How closely an acceptor names what it lets in. */
const precision = (acceptor: Acceptor): number =>
  (acceptor.foreignAddress === 0 ? 0 : 2) + (acceptor.foreignPort === 0 ? 0 : 2) + (acceptor.address === 0 ? 0 : 1)

export class Acceptors {
  private readonly ports = new Map<number, ReadonlyArray<Acceptor>>()
  private count = 0

  get size(): number {
    return this.count
  }

  /** The acceptor for a SYN; the one that names most wins. */
  find(endpoints: Endpoints): Acceptor | undefined {
    return this.ports.get(endpoints.localPort)?.find((acceptor) =>
      overlap(acceptor.address, endpoints.localAddress) &&
      overlap(acceptor.foreignAddress, endpoints.remoteAddress) &&
      overlap(acceptor.foreignPort, endpoints.remotePort)
    )
  }

  /** Whether an acceptor would let in the same connections as one that is there. */
  conflicts(wanted: Omit<Acceptor, "admit" | "close">): boolean {
    return this.at(wanted.port).some((acceptor) =>
      overlap(acceptor.address, wanted.address) &&
      acceptor.foreignAddress === wanted.foreignAddress && acceptor.foreignPort === wanted.foreignPort
    )
  }

  /** Whether a port of an address is taken. */
  taken(address: number, port: number): boolean {
    return this.at(port).some((acceptor) => overlap(acceptor.address, address))
  }

  add(acceptor: Acceptor): void {
    const sorted = [...this.at(acceptor.port), acceptor].toSorted((a, b) => precision(b) - precision(a))
    this.ports.set(acceptor.port, sorted)
    this.count++
  }

  delete(acceptor: Acceptor): void {
    const there = this.at(acceptor.port)
    const rest = there.filter((other) => other !== acceptor)
    this.count -= there.length - rest.length
    if (rest.length === 0) this.ports.delete(acceptor.port)
    else this.ports.set(acceptor.port, rest)
  }

  all(): ReadonlyArray<Acceptor> {
    return [...this.ports.values()].flat()
  }

  private at(port: number): ReadonlyArray<Acceptor> {
    return this.ports.get(port) ?? []
  }
}
