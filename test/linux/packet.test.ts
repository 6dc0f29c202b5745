/**
 * The stack on an interface of the kernel's: AF_PACKET on one end of a virtual cable, whose other end leaves checksums
 * and segmentation to a wire that does neither.
 */
import { expect, layer } from "@effect/vitest"
import { Icmp, NetworkStack, Tcp, Udp } from "@strata/core"
import { PacketSocket } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  describeOffloads,
  KERNEL,
  Kernel,
  type Offload,
  OFFLOADS_OFF,
  quiet,
  STACK,
  tcpPeer,
  tcpReports,
  udpPeer,
  udpReport
} from "../support/linux.ts"
import { receiveFromKernel, sendToKernel } from "../support/linuxTransfer.ts"
import * as Namespace from "../support/namespace.ts"
import { inet, ipv4 } from "../support/Probe.ts"
import { readHash, writeRandom } from "../support/transfer.ts"

const MiB = 1024 * 1024

/** The namespace of the interface the stack uses; its kernel has no address there. */
class Away extends Context.Service<Away, Namespace.Namespace>()("test/Away") {}

const Network = Layer.effectContext(Effect.gen(function*() {
  const kernel = yield* Namespace.make
  const away = yield* Namespace.make
  yield* quiet(kernel)
  yield* quiet(away)
  yield* Namespace.veth({ namespace: kernel, name: "cable0" }, { namespace: away, name: "cable1" })
  yield* kernel.succeed("ip", "addr", "add", `${KERNEL}/24`, "dev", "cable0")
  return Context.make(Kernel, kernel).pipe(Context.add(Away, away))
}))

const hostWith = (offload: Offload) =>
  Layer.unwrap(
    Effect.map(
      Away,
      (away) =>
        PacketSocket.layer({ name: "cable1", address: `${STACK}/24`, gateway: KERNEL, namespace: away.path, offload })
    )
  ).pipe(
    Layer.provideMerge(NetworkStack.layer),
    Layer.provideMerge(Network)
  )

describeOffloads("Linux, AF_PACKET", ["ping", "ethtool"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("ping, both ways", () =>
      Effect.gen(function*() {
        const { stdout } = yield* (yield* Kernel).succeed(
          "ping",
          "-c",
          "3",
          "-i",
          "0.1",
          "-s",
          "4000",
          "-W",
          "5",
          STACK
        )
        expect(stdout).toContain("3 received, 0% packet loss")
        const reply = yield* (yield* Icmp).ping(ipv4(KERNEL), { timeout: "5 seconds" })
        expect(reply.address).toEqual(ipv4(KERNEL))
      }))

    it.effect("UDP", () =>
      Effect.gen(function*() {
        const port = yield* (yield* Udp).bind({ port: 7 })
        yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
          for (const datagram of yield* port.take) yield* port.send(datagram.payload, datagram.source)
        })))
        const peer = yield* udpPeer(yield* Kernel, { send: { host: STACK, port: 7, lengths: [0, 1, 1400, 9000] } })
        expect(yield* udpReport(peer)).toEqual({ equal: 4 })
      }))

    it.effect("20 MiB each way over TCP", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 20 * MiB })
        const connection = yield* listener.accept
        const received = yield* readHash(connection)
        const sent = yield* writeRandom(connection, 20 * MiB)
        yield* connection.closeWrite
        const [report] = yield* tcpReports(peer)
        expect(received).toEqual({ octets: 20 * MiB, hash: report!.sentHash })
        expect(report).toMatchObject({ received: 20 * MiB, receivedHash: sent, ended: true })
      }))

    it.effect("20 MiB each way over a cable that carries segments of its MTU", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("ethtool", "-K", "cable0", ...OFFLOADS_OFF)
        yield* (yield* Away).succeed("ethtool", "-K", "cable1", ...OFFLOADS_OFF)
        yield* receiveFromKernel(20 * MiB)
        yield* sendToKernel(20 * MiB)
      }))

    it.effect("a port nobody listens on refuses", () =>
      Effect.gen(function*() {
        const peer = yield* tcpPeer(yield* Kernel, { connect: { host: STACK, port: 4444 } })
        expect(yield* tcpReports(peer)).toMatchObject([{ error: "ECONNREFUSED" }])
        const error = yield* Effect.flip((yield* Tcp).connect({ remote: inet(KERNEL, 4444) }))
        expect(error.reason._tag).toBe("ConnectionRefused")
      }))
  })
})
