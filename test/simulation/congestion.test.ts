/**
 * Two whole stacks over a bottleneck whose queue holds what is in flight: the windows of Reno and CUBIC are those of
 * their RFCs, and the link is full.
 */
import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import * as Algorithms from "@strata/core/tcp/Algorithms"
import type { CongestionAlgorithm, CongestionState, CongestionView, Delivery } from "@strata/core/tcp/Congestion"
import type { CubicState } from "@strata/core/tcp/Cubic"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { Deferred, Effect } from "effect"

const RATE = 10e6
const ROUND_TRIP = 100
const FRAME = 1514
/** Packets that are in flight where the queue begins; it holds as many. */
const FITS = Math.floor(RATE * ROUND_TRIP / 8000 / FRAME)
const PORT = 7
const SECONDS = 40

/** An acknowledgement, and what it made of the state; octets and milliseconds. */
interface Step {
  readonly now: number
  readonly state: CongestionState
  readonly delivery: Delivery
}

interface Recorded {
  /** Steps of congestion avoidance, from one congestion to the next. */
  readonly stages: Array<Array<Step>>
  readonly mss: number
}

/** Tells `into` what the algorithm does, which it does as ever. */
const recording = (algorithm: CongestionAlgorithm, into: Array<Array<Step>>): CongestionAlgorithm => ({
  ...algorithm,
  onAck: (before, delivery, view) => {
    const state = algorithm.onAck(before, delivery, view)
    if (!delivery.recovering && before.window >= before.slowStartThreshold) {
      into.at(-1)?.push({ now: view.now, state, delivery })
    }
    return state
  },
  onCongestion: (state, cause, view: CongestionView) => {
    into.push([])
    return algorithm.onCongestion(state, cause, view)
  }
})

const BUFFERS = { sendBuffer: 1 << 20, receiveBuffer: 1 << 20 }
const CHUNK = new Uint8Array(1 << 16)

/** Sends for a while. Gives what was recorded, and bits per second of text in the second half. */
const transfer = Effect.fnUntraced(function*(algorithm: CongestionAlgorithm) {
  const network = yield* Network
  const sender = yield* network.host("sender")
  const receiver = yield* network.host("receiver")
  yield* network.wire(sender, receiver, {
    latency: Distribution.constant(ROUND_TRIP / 2),
    forth: { bandwidth: RATE, queue: { packets: FITS, octets: Infinity } }
  })
  const listening = yield* Deferred.make<void>()
  let received = 0
  yield* receiver.fork(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: PORT, ...BUFFERS })
    yield* Deferred.succeed(listening, undefined)
    const connection = yield* listener.accept
    yield* Effect.forever(Effect.map(connection.read, (chunks) => {
      for (const chunk of chunks) received += chunk.length
    }))
  }))
  yield* Deferred.await(listening)
  const stages: Array<Array<Step>> = []
  let mss = 0
  yield* sender.fork(Effect.gen(function*() {
    const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT)
    const congestion = recording(algorithm, stages)
    const connection = yield* (yield* Tcp).connect({ remote, congestion, ...BUFFERS })
    mss = connection.controlBlock().snd.mss
    yield* Effect.forever(connection.write(CHUNK))
  }))
  yield* Effect.sleep(SECONDS * 500)
  const before = received
  yield* Effect.sleep(SECONDS * 500)
  const recorded: Recorded = { stages, mss }
  return { recorded, goodput: (received - before) * 16 / SECONDS }
}, Effect.orDie)

const run = (name: Algorithms.AlgorithmName) =>
  Effect.orDie(Simulation.run(transfer(Algorithms.byName(name)), { seed: 1, invariants: false }))

/** The last of the stages that are over. */
const lastStage = ({ stages }: Recorded): ReadonlyArray<Step> => stages.filter((steps) => steps.length > 0).at(-2)!

/** The most that a link can carry of text. */
const most = (mss: number): number => RATE * mss / FRAME

describe("a transfer over a bottleneck", () => {
  it.effect("grows by a segment each round trip with Reno, from half of what fits", () =>
    Effect.gen(function*() {
      const { goodput, recorded } = yield* run("reno")
      const { mss } = recorded
      assert.isAbove(goodput / most(mss), 0.97)
      const stage = lastStage(recorded)
      const [first, last] = [stage[0]!, stage.at(-1)!]
      assert.closeTo(first.state.window / mss, FITS, 3)
      assert.closeTo(last.state.window / mss, 2 * FITS, 3)
      // A segment for each window that is acknowledged: the integral of W dW is what was acknowledged.
      const acknowledged = stage.reduce((sum, { delivery }) => sum + delivery.acknowledged, 0)
      assert.closeTo((last.state.window ** 2 - first.state.window ** 2) / (2 * mss * acknowledged), 1, 0.02)
    }), 60_000)

  it.effect("follows the function of RFC 9438 with CUBIC, from 0.7 of what fits", () =>
    Effect.gen(function*() {
      const { goodput, recorded } = yield* run("cubic")
      const { mss } = recorded
      assert.isAbove(goodput / most(mss), 0.97)
      let compared = 0
      for (const stage of recorded.stages) {
        const begin = stage[0]
        for (const { now, state } of stage) {
          const { estimate, maximum, slowStartThreshold } = state as CubicState
          const k = Math.cbrt((maximum - slowStartThreshold) / mss / 0.4)
          const cubic = 0.4 * ((now - begin!.now) / 1000 - k) ** 3 + maximum / mss
          assert.closeTo(state.window / mss, Math.max(cubic, estimate / mss), 1)
          compared++
        }
      }
      assert.isAbove(compared, 10_000)
      const stage = lastStage(recorded)
      const peak = stage.at(-1)!.state.window / mss
      assert.closeTo(peak, 2 * FITS, 4)
      assert.closeTo(stage[0]!.state.slowStartThreshold / mss, 0.7 * 2 * FITS, 4)
    }), 60_000)
})
