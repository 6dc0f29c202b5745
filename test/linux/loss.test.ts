/**
 * TCP between the stack and the kernel over a network that loses packets in both directions.
 */
import { expect, layer } from "@effect/vitest"
import { Statistics } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, type Offload } from "../support/linux.ts"
import { receiveFromKernel, sendToKernel } from "../support/linuxTransfer.ts"
import * as LossyPath from "../support/lossyPath.ts"

const MiB = 1024 * 1024

interface Transfer {
  readonly share: number
  /** Octets each way. */
  readonly octets: number
  /** More packets than that are lost, by where they came from. */
  readonly least: Omit<LossyPath.Lost, "fromFar">
}

const exchange = Effect.fnUntraced(function*({ least, octets, share }: Transfer) {
  const path = yield* LossyPath.Path
  yield* path.lose(share)
  // Most of the time both wait for a retransmission timer, so they may as well wait together.
  yield* Effect.all([receiveFromKernel(octets), sendToKernel(octets)], { concurrency: "unbounded", discard: true })
  const { fromKernel, fromStack } = yield* path.lost
  expect(fromKernel).toBeGreaterThan(least.fromKernel)
  expect(fromStack).toBeGreaterThan(least.fromStack)
})

/**
 * Where the kernel cuts what the stack sends, a packet of the stack's is many segments when it is lost: fewer are, 32 and 160 on
 * average, though more octets are sent. What must be lost at least is so far below the average that chance does not get there.
 */
const transfers = (offload: Offload): ReadonlyArray<Transfer> =>
  offload === true
    ? [
      { share: 0.01, octets: 50 * MiB, least: { fromKernel: 200, fromStack: 5 } },
      { share: 0.02, octets: 100 * MiB, least: { fromKernel: 1000, fromStack: 80 } }
    ]
    : [
      { share: 0.01, octets: 5 * MiB, least: { fromKernel: 10, fromStack: 10 } },
      { share: 0.02, octets: 100 * MiB, least: { fromKernel: 1000, fromStack: 1000 } }
    ]

/** How many segments have arrived, and how many of them together with the one before. */
const arrived = Effect.map(
  Effect.flatMap(Statistics, ({ snapshot }) => snapshot),
  (counters) => [counters["tcp.received"] ?? 0, counters["tcp.coalesced"] ?? 0] as const
)

describeOffloads("Linux, TCP over a network that loses packets both ways", LossyPath.PROGRAMS, (offload) => {
  layer(LossyPath.hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
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

    for (const transfer of transfers(offload)) {
      const mebibytes = transfer.octets / MiB
      it.effect(
        `${mebibytes} MiB from the kernel and ${mebibytes} MiB to it arrive as they were sent, through a loss of ${
          100 * transfer.share
        } %`,
        () => exchange(transfer),
        240_000
      )
    }
  })
})
