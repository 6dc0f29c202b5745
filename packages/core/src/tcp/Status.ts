/**
 * The STATUS call of RFC 9293 §3.9.1.6, for all connections at once.
 */
import * as Effect from "effect/Effect"
import type { Acceptor } from "./Acceptors.ts"
import { inetAddress, statusOf } from "./ConnectionFace.ts"
import type { Host } from "./Host.ts"
import type { ConnectionStatus } from "./Tcp.ts"

const listening = ({ address, foreignAddress, foreignPort, port }: Acceptor): ConnectionStatus => ({
  local: inetAddress(address, port),
  remote: inetAddress(foreignAddress, foreignPort),
  state: "LISTEN",
  sendWindow: 0,
  receiveWindow: 0,
  sendQueue: 0,
  receiveQueue: 0
})

export const makeStatus = (host: Host): Effect.Effect<ReadonlyArray<ConnectionStatus>> =>
  Effect.sync(() => [...host.acceptors.all().map(listening), ...[...host.connections].map(statusOf)])
