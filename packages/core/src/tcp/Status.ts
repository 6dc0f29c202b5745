/**
 * The STATUS call of RFC 9293 §3.9.1.6, for all connections at once.
 */
import * as Effect from "effect/Effect"
import type { Acceptor } from "./Acceptors.ts"
import { statusOf } from "./ConnectionFace.ts"
import type { Host } from "./Host.ts"
import { inetAddress } from "./InetAddress.ts"
import type { ConnectionStatus, Tcp } from "./Tcp.ts"
import { infoOf } from "./TcpInfo.ts"

const listening = ({ address, foreignAddress, foreignPort, port }: Acceptor): ConnectionStatus => ({
  local: inetAddress(address, port),
  remote: inetAddress(foreignAddress, foreignPort),
  state: "LISTEN",
  sendWindow: 0,
  receiveWindow: 0,
  sendQueue: 0,
  receiveQueue: 0
})

export const makeStatus = (host: Host): Pick<Tcp["Service"], "info" | "status"> => ({
  status: Effect.sync(() => [...host.acceptors.all().map(listening), ...[...host.connections].map(statusOf)]),
  info: Effect.sync(() => [...host.connections].map(infoOf))
})
