/**
 * A TAP behind an impairment: the stack talks to the kernel through 5 % loss,
 * 5 % reordering and 1 % duplication, and a capture sees it all.
 */
import { expect, layer } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import { Capture, Impairment, Loss, Pcapng, Tap } from "@strata/drivers"
import type { Conditions } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { KERNEL, Kernel, MAC, STACK, tcpPeer, tcpReports } from "../support/linux.ts"
import * as Namespace from "../support/namespace.ts"
import { inet } from "../support/Probe.ts"
import { withFolder } from "../support/tools.ts"
import { readHash, writeRandom } from "../support/transfer.ts"

const MiB = 1024 * 1024

const bad: Partial<Conditions> = {
  loss: Loss.bernoulli(0.05),
  reordering: { probability: 0.05, packets: 3, atMost: 20 },
  duplication: 0.01
}

class Bench extends Context.Service<Bench, {
  readonly impairment: Impairment.Impairment
  readonly blocks: Array<Uint8Array>
}>()("test/Bench") {}

const Host = Layer.unwrap(Effect.gen(function*() {
  const kernel = yield* Kernel
  const blocks: Array<Uint8Array> = []
  const capture = yield* Capture.make((block) => blocks.push(block), { snapLength: 128 })
  const impairment = Impairment.make({ inbound: bad, outbound: bad })
  return Tap.layer({ name: "tap0", address: `${STACK}/24`, mac: MAC, namespace: kernel.path }).pipe(
    Impairment.of(impairment),
    Capture.of(capture),
    Layer.merge(Layer.succeed(Bench, Bench.of({ impairment, blocks })))
  )
})).pipe(Layer.provideMerge(NetworkStack.layer), Layer.provideMerge(Kernel.layer))

Namespace.describeLinux("Linux, TCP through an impaired TAP", ["tshark"], () => {
  layer(Host, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("10 MiB from the kernel and 10 MiB to it arrive as they were sent", () =>
      Effect.gen(function*() {
        const fromKernel = Effect.gen(function*() {
          const listener = yield* (yield* Tcp).listen({ port: 7 })
          const peer = yield* tcpPeer(yield* Kernel, { connect: { host: STACK, port: 7 }, send: 10 * MiB })
          const connection = yield* listener.accept
          const received = yield* readHash(connection)
          yield* connection.closeWrite
          const [report] = yield* tcpReports(peer)
          expect(received).toEqual({ octets: 10 * MiB, hash: report!.sentHash })
        })
        const toKernel = Effect.gen(function*() {
          const peer = yield* tcpPeer(yield* Kernel, { listen: 9000, end: "afterReceiving" })
          yield* peer.prints(/listening/)
          const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
          const hash = yield* writeRandom(connection, 10 * MiB)
          yield* connection.closeWrite
          yield* peer.prints(/sentHash/)
          expect(JSON.parse(peer.stdout())).toMatchObject({ received: 10 * MiB, receivedHash: hash, ended: true })
        })
        yield* Effect.all([fromKernel, toKernel], { concurrency: "unbounded", discard: true })

        const { impairment } = yield* Bench
        for (const counters of Object.values(yield* impairment.counters)) {
          expect(counters.lost / counters.offered).toBeGreaterThan(0.03)
          expect(counters.reordered / counters.offered).toBeGreaterThan(0.03)
          expect(counters.duplicated / counters.offered).toBeGreaterThan(0.005)
        }
      }), 240_000)

    it.effect("the capture of it is well-formed", () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const { blocks } = yield* Bench
          const file = Buffer.concat(blocks)
          const packets = Result.getOrThrow(Pcapng.decode(file)).filter((block) => block._tag === "Packet")
          expect(packets.length).toBeGreaterThan(10_000)
          const path = join(folder, "impaired.pcapng")
          writeFileSync(path, file)
          const { stdout } = yield* Namespace.system(
            "tshark",
            "-r",
            path,
            "-Y",
            "_ws.malformed || ip.checksum.status == 0 || frame.number > 10000",
            "-T",
            "fields",
            "-e",
            "frame.number"
          )
          const numbers = stdout.trim().split("\n").map(Number)
          expect(numbers.filter((number) => number <= 10_000)).toEqual([])
          expect(numbers.at(-1)).toBe(packets.length)
        })
      ))
  })
})
