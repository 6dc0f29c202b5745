/**
 * What the contract is about: two ends of a network that offer Effect's sockets, whatever they are made of.
 *
 * The cases are written against the services of `effect/socket` alone. An environment runs them all: the kernel's sockets by
 * way of `@effect/platform-node`, strata in a simulation, strata and the kernel on either end of a TAP.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { MulticastInterface } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type { DatagramSocket, DatagramSocketError, ReceiveBufferOptions } from "effect/socket/DatagramSocket"
import type { Socket } from "effect/socket/Socket"
import type { SocketServer, SocketServerError } from "effect/socket/SocketServer"

export interface SocketOptions {
  readonly host: string
  readonly port: number
  readonly localPort?: number
  readonly openTimeout?: number
  readonly chunkSize?: number
  readonly allowHalfOpen?: boolean
}

export interface ServerOptions {
  readonly host?: string
  readonly port: number
  readonly allowHalfOpen?: boolean
}

interface Place {
  readonly address: string
  readonly port: number
}

export interface DatagramOptions {
  readonly bind?: { readonly address?: string; readonly port?: number }
  readonly reuseAddress?: boolean
  readonly broadcast?: boolean
  readonly multicast?: { readonly interface: MulticastInterface; readonly loopback: boolean }
  readonly receiveBuffer?: ReceiveBufferOptions
  readonly onError?: (error: DatagramSocketError) => void
}

export type Toward = { readonly peer?: Place } | { readonly connect: Place }

/** One end: what a program there is given. */
export interface Side {
  /** Where the other end reaches it. */
  readonly host: string
  readonly socket: (options: SocketOptions) => Effect.Effect<Socket>
  readonly server: (options: ServerOptions) => Effect.Effect<SocketServer["Service"], SocketServerError, Scope.Scope>
  readonly datagrams: (options: DatagramOptions & Toward) => Effect.Effect<DatagramSocket>
}

export class Ends extends Context.Service<Ends, {
  readonly client: Side
  readonly server: Side
  /** An address that swallows what the client sends to it, where there is one. */
  readonly blackHole: string | undefined
  /** An address to which the client has no route, where there is one. */
  readonly unroutable: string | undefined
  /** A broadcast address of the client's link. */
  readonly broadcast: string
}>()("test/Ends") {}

export interface Case {
  readonly name: string
  readonly program: Effect.Effect<void, unknown, Ends | Scope.Scope>
}
