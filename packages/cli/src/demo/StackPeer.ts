/**
 * A second host of strata, at the other end of a wire in memory.
 */
import type { Icmp } from "@strata/core/ip/Icmp"
import type { Tcp } from "@strata/core/tcp/Tcp"
import type { Udp } from "@strata/core/udp/Udp"
import * as TcpSocket from "@strata/sockets/TcpSocket"
import * as UdpSocket from "@strata/sockets/UdpSocket"
import * as Effect from "effect/Effect"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { pings } from "../commands/ping.ts"
import { ExchangeFailed, type Peer } from "./Peer.ts"

const failed = (what: string) => (error: { readonly message: string }) =>
  new ExchangeFailed({ what, detail: error.message })

const tcp = Effect.fnUntraced(function*(remote: string, bytes: Uint8Array) {
  const socket = yield* TcpSocket.connect({ remote })
  yield* socket.write(bytes)
  yield* socket.closeWrite
  return Buffer.concat(yield* Stream.runCollect(socket.incoming))
}, Effect.scoped)

const udp = Effect.fnUntraced(function*(remote: string, payload: Uint8Array) {
  const socket = yield* UdpSocket.connect({ remote })
  yield* socket.send(payload)
  const answer = yield* Stream.runHead(socket.datagrams)
  return Option.getOrThrow(answer).payload
}, Effect.scoped)

/** `address` and `port` are those of the host's echo servers. */
export const make = (address: Ipv4Address, port: number): Effect.Effect<Peer, never, Icmp | Tcp | Udp> =>
  Effect.map(Effect.context<Icmp | Tcp | Udp>(), (context) => ({
    name: "The other host",
    command: (count) => `strata ping -c ${count} -i 0.2 ${address}`,
    ping: (count, print) =>
      pings({ destination: address, count, interval: 0.2, size: 56, timeout: 4 }, print).pipe(
        Effect.map((tally) => ({
          transmitted: tally.transmitted,
          received: tally.received,
          average: tally.sum / tally.received
        })),
        Effect.catchTag("NoReply", (error) => Effect.fail(failed("ping")(error))),
        Effect.provideContext(context)
      ),
    tcp: (bytes) =>
      tcp(`${address}:${port}`, bytes).pipe(Effect.mapError(failed("tcp")), Effect.provideContext(context)),
    udp: (payload) =>
      udp(`${address}:${port}`, payload).pipe(Effect.mapError(failed("udp")), Effect.provideContext(context))
  }))
