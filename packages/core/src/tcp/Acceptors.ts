/**
 * Who lets connections in: listeners and passive OPENs, by port.
 */
import type { LiveConnection } from "./Connection.ts"
import type { Endpoints } from "./ControlBlock.ts"
import type { ConnectionOptions } from "./Tcp.ts"

/**
 * Why there is no connection for a SYN: it is to be answered by a cookie (RFC 4987 §3.6), or dropped, since as many
 * connections as can be are half-open, or wait to be accepted.
 */
export type Refusal = "cookie" | "synQueueFull" | "acceptQueueFull"

/** Addresses are unsigned 32-bit integers; 0 is "any", as is a foreign port of 0. */
export interface Acceptor {
  readonly address: number
  readonly port: number
  readonly foreignAddress: number
  readonly foreignPort: number
  /** What its connections start from. */
  readonly options: ConnectionOptions
  /** A connection in LISTEN for a SYN that arrived, or what is to be done with it instead. */
  readonly admit: (endpoints: Endpoints, iss: number) => LiveConnection | Refusal
  /** A connection in LISTEN for a peer that brought a SYN cookie back, or undefined while there is no room. */
  readonly resume: (endpoints: Endpoints, iss: number) => LiveConnection | undefined
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
  conflicts(wanted: Pick<Acceptor, "address" | "port" | "foreignAddress" | "foreignPort">): boolean {
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
