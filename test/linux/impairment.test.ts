/**
 * A TAP behind an impairment: the stack talks to the kernel through 5 % loss,
 * 5 % reordering and 1 % duplication, and a capture sees it all.
 */
import { expect, layer } from "@effect/vitest"
import { NetworkStack } from "@strata/core"
import { Capture, Impairment, Loss, Pcapng, Tap } from "@strata/drivers"
import type { Conditions } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describeOffloads, Kernel, MAC, type Offload, STACK } from "../support/linux.ts"
import { receiveFromKernel, sendToKernel } from "../support/linuxTransfer.ts"
import * as Namespace from "../support/namespace.ts"
import { withFolder } from "../support/tools.ts"

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

const hostWith = (offload: Offload) =>
  Layer.unwrap(Effect.gen(function*() {
    const kernel = yield* Kernel
    const blocks: Array<Uint8Array> = []
    const capture = yield* Capture.make((block) => blocks.push(block), { snapLength: 128 })
    const impairment = Impairment.make({ inbound: bad, outbound: bad })
    return Tap.layer({ name: "tap0", address: `${STACK}/24`, mac: MAC, namespace: kernel.path, offload }).pipe(
      Impairment.of(impairment),
      Capture.of(capture),
      Layer.merge(Layer.succeed(Bench, Bench.of({ impairment, blocks })))
    )
  })).pipe(Layer.provideMerge(NetworkStack.layer), Layer.provideMerge(Kernel.layer))

describeOffloads("Linux, TCP through an impaired TAP", ["tshark"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("10 MiB from the kernel and 10 MiB to it arrive as they were sent", () =>
      Effect.gen(function*() {
        yield* Effect.all([receiveFromKernel(10 * MiB), sendToKernel(10 * MiB)], {
          concurrency: "unbounded",
          discard: true
        })

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
