/**
 * TCP between the stack and the kernel over a network that loses packets in both directions.
 */
import { expect, layer } from "@effect/vitest"
import { NetworkStack, Statistics } from "@strata/core"
import { Tap } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describeOffloads, Kernel, type Offload, STACK } from "../support/linux.ts"
import { receiveFromKernel, sendToKernel } from "../support/linuxTransfer.ts"
import * as LossyPath from "../support/lossyPath.ts"

const MiB = 1024 * 1024

class Path extends Context.Service<Path, LossyPath.LossyPath>()("test/Path") {}

const Network = Layer.effectContext(
  Effect.map(LossyPath.make, (path) => Context.make(Kernel, path.kernel).pipe(Context.add(Path, path)))
)

const lossy = (offload: Offload) =>
  Layer.unwrap(
    Effect.map(
      Path,
      ({ middle }) => Tap.layer({ name: LossyPath.Port.stack, address: `${STACK}/24`, namespace: middle.path, offload })
    )
  ).pipe(
    Layer.provideMerge(NetworkStack.layer),
    Layer.provideMerge(Network)
  )

/** More packets than that are lost. */
type Least = Omit<LossyPath.Lost, "fromFar">

/** That many octets each way. */
const exchange = Effect.fnUntraced(function*(share: number, octets: number, least: Least) {
  const path = yield* Path
  yield* path.lose(share)
  // Most of the time both wait for a retransmission timer, so they may as well wait together.
  yield* Effect.all([receiveFromKernel(octets), sendToKernel(octets)], { concurrency: "unbounded", discard: true })
  const { fromKernel, fromStack } = yield* path.lost
  expect(fromKernel).toBeGreaterThan(least.fromKernel)
  expect(fromStack).toBeGreaterThan(least.fromStack)
})

/** How many segments have arrived, and how many of them together with the one before. */
const arrived = Effect.map(
  Effect.flatMap(Statistics, ({ snapshot }) => snapshot),
  (counters) => [counters["tcp.received"] ?? 0, counters["tcp.coalesced"] ?? 0] as const
)

describeOffloads("Linux, TCP over a network that loses packets both ways", LossyPath.PROGRAMS, (offload) => {
  // What the kernel is to cut is one packet when it is lost, and what the driver has joined is acknowledged at once.
  const whole = offload === true
  layer(lossy(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      offload === false
        ? "segments that nothing on the way has joined arrive one by one"
        : "segments that nothing on the way has joined are joined on arrival",
      Effect.fnUntraced(function*() {
        const [segments, joined] = yield* arrived
        yield* receiveFromKernel(20 * MiB)
        const [allSegments, allJoined] = yield* arrived
        if (offload === false) expect(allJoined - joined).toBe(0)
        else expect(allJoined - joined).toBeGreaterThan((allSegments - segments) / 4)
      }),
      60_000
    )

    it.effect(
      "5 MiB from the kernel and 5 MiB to it arrive as they were sent, through a loss of 1 %",
      () => exchange(0.01, 5 * MiB, { fromKernel: 10, fromStack: whole ? -1 : 10 }),
      60_000
    )

    it.effect(
      "100 MiB from the kernel and 100 MiB to it arrive as they were sent, through a loss of 2 %",
      () => exchange(0.02, 100 * MiB, { fromKernel: 1000, fromStack: whole ? 50 : 1000 }),
      240_000
    )
  })
})
