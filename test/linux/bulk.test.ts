/**
 * Many bytes between the stack and the kernel, fast readers and slow ones.
 */
import { expect, layer } from "@effect/vitest"
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK, tcpPeer, tcpReports } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { readHash, writeRandom } from "../support/transfer.ts"

const MiB = 1024 * 1024

describeOffloads("Linux, bulk TCP", [], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("100 MiB from the kernel arrive as they were sent", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 100 * MiB })
        const connection = yield* listener.accept
        const received = yield* readHash(connection)
        yield* connection.closeWrite
        const [report] = yield* tcpReports(peer)
        expect(received).toEqual({ octets: 100 * MiB, hash: report!.sentHash })
        expect(report).toMatchObject({ sent: 100 * MiB, ended: true })
      }))

    it.effect("100 MiB to the kernel arrive as they were sent", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* tcpPeer(kernel, { listen: 9000, end: "afterReceiving" })
        yield* peer.prints(/listening/)
        const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
        const hash = yield* writeRandom(connection, 100 * MiB)
        yield* connection.closeWrite
        yield* connection.closed
        yield* peer.prints(/ended/)
        yield* peer.prints(/sentHash/)
        expect(JSON.parse(peer.stdout())).toMatchObject({ received: 100 * MiB, receivedHash: hash, ended: true })
      }))

    it.effect("20 MiB each way at once on one connection", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 20 * MiB })
        const connection = yield* listener.accept
        const reader = yield* Effect.forkChild(readHash(connection))
        const sentHash = yield* writeRandom(connection, 20 * MiB)
        yield* connection.closeWrite
        const received = yield* Fiber.join(reader)
        const [report] = yield* tcpReports(peer)
        expect(received).toEqual({ octets: 20 * MiB, hash: report!.sentHash })
        expect(report).toMatchObject({ received: 20 * MiB, receivedHash: sentHash, ended: true })
      }))

    it.effect("a slow reader of the stack closes its window, and opens it again", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 16 * MiB })
        const connection = yield* listener.accept
        while (connection.status().receiveWindow > 0) yield* Effect.sleep(20)
        yield* Effect.sleep(500)
        expect(connection.status().receiveWindow).toBe(0)
        const received = yield* readHash(connection)
        yield* connection.closeWrite
        const [report] = yield* tcpReports(peer)
        expect(received).toEqual({ octets: 16 * MiB, hash: report!.sentHash })
      }))

    it.effect("a slow reader of the kernel closes its window, and the stack goes on when it opens", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, {
          connect: { host: STACK, port: 7 },
          pause: 2000,
          end: "afterReceiving"
        })
        const connection = yield* listener.accept
        const writer = yield* Effect.forkChild(writeRandom(connection, 32 * MiB))
        let closed = false
        while (writer.pollUnsafe() === undefined) {
          closed ||= connection.status().sendWindow === 0
          yield* Effect.sleep(10)
        }
        expect(closed).toBe(true)
        const hash = yield* Fiber.join(writer)
        yield* connection.closeWrite
        expect(yield* tcpReports(peer)).toMatchObject([{ received: 32 * MiB, receivedHash: hash, ended: true }])
      }))
  })
})
