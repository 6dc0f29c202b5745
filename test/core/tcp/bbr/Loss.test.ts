import { assert, describe, it } from "@effect/vitest"
import { Bbr, makeBbr } from "@strata/core/tcp/Bbr"
import * as Model from "@strata/core/tcp/bbr/Model"
import type { BbrState } from "@strata/core/tcp/bbr/State"
import { Reno } from "@strata/core/tcp/Reno"
import { course, delivery, stateOf, view } from "../../../support/bbrCourse.ts"
import { Bottleneck, megabits, MSS, PRODUCT } from "../../../support/bottleneck.ts"

/** A flow that cruises, and its view. */
const cruising = () => {
  const run = course()
  run.until("cruise")
  run.bottleneck.run(run.bottleneck.now + 100)
  const state = stateOf(run.flow)
  assert.strictEqual(state.phase, "cruise")
  return { state, run, told: run.flow.view() }
}

const FLIGHT = PRODUCT * 1.1

/** An acknowledgement at the end of a round, at `rate` times of what was. */
const ended = (state: BbrState, rate: number) =>
  delivery(
    { totalDelivered: state.delivered + FLIGHT, delivered: MSS, recovering: true },
    {
      delivered: FLIGHT * rate,
      priorDelivered: state.delivered,
      interval: FLIGHT / Model.maximumBandwidth(state),
      inFlightAtSend: FLIGHT
    }
  )

type View = ReturnType<typeof view>

/** The end of a round of which `share` was lost, besides the segment that began it. */
const lossyFrom = (algorithm: typeof Bbr, state: BbrState, told: View, share: number, rate: number): BbrState => {
  const lost = MSS + share * FLIGHT
  const first = algorithm.onAck(
    algorithm.onCongestion(state, "loss", told),
    { ...delivery({ totalDelivered: state.delivered, lost, delivered: 0, recovering: true }), rate: undefined },
    told
  ) as BbrState
  assert.isTrue(first.signals.lost)
  const cleared = { ...first, signals: { ...first.signals, bandwidth: 0, inFlight: 0 } }
  return algorithm.onAck(cleared, ended(first, rate), told) as BbrState
}

const lossy = (algorithm: typeof Bbr, share: number, rate: number): BbrState => {
  const { state, told } = cruising()
  return lossyFrom(algorithm, state, told, share, rate)
}

/** The share of the path that is used when segments are lost with a probability. */
const goodput = (loss: number): number => {
  const run = course({ rate: megabits(100), loss, queue: 500_000 }, { seed: 2 })
  run.bottleneck.run(2000)
  const before = run.flow.delivered
  run.bottleneck.run(17_000)
  return (run.flow.delivered - before) / 15_000 / run.bottleneck.path.rate
}

/** The share of the path that Reno has beside BBR. */
const share = (algorithm: typeof Bbr): number => {
  const bottleneck = new Bottleneck({ queue: PRODUCT }, 3)
  bottleneck.add({ algorithm })
  const reno = bottleneck.add({ algorithm: Reno })
  bottleneck.run(30_000)
  return reno.delivered / 30_000 / bottleneck.path.rate
}

describe("the short-term model of BBR (§5.5.10.3)", () => {
  it("gives way to what was delivered when more than 2 % are lost in a round", () => {
    const after = lossy(Bbr, 0.05, 0.9)
    assert.closeTo(after.shortTerm.bandwidth, 0.9 * Model.maximumBandwidth(after), 1e-6)
    assert.isBelow(Model.bandwidth(after), Model.maximumBandwidth(after))
    assert.isAtMost(after.window, after.shortTerm.inFlight)
  })

  it("but to no less than 0.7 of what it was", () => {
    const after = lossy(Bbr, 0.5, 0.2)
    assert.closeTo(after.shortTerm.bandwidth, 0.7 * Model.maximumBandwidth(after), 1e-6)
    assert.isAtLeast(after.shortTerm.inFlight, 0.7 * 1.9 * PRODUCT)
  })

  it("stays as it is when less is lost; with no tolerance, as in the draft, it does not", () => {
    assert.strictEqual(lossy(Bbr, 0.01, 0.98).shortTerm.bandwidth, Infinity)
    assert.isBelow(lossy(makeBbr({ toleratedLoss: 0 }), 0.01, 0.98).shortTerm.bandwidth, Infinity)
  })

  it("is forgotten when bandwidth is probed for", () => {
    const run = course({ queue: PRODUCT })
    run.until("cruise")
    run.bottleneck.path.loss = 0.05
    run.bottleneck.run(run.bottleneck.now + 500)
    assert.isBelow(stateOf(run.flow).shortTerm.bandwidth, Infinity)
    const refill = run.until("refill")!
    assert.strictEqual(refill.state.shortTerm.bandwidth, Infinity)
    assert.strictEqual(refill.state.shortTerm.inFlight, Infinity)
  })

  it("lets a tenth of a percent, and one percent, of random losses cost next to nothing, or little", () => {
    assert.isAbove(goodput(0.001), 0.94)
    assert.isAbove(goodput(0.01), 0.85)
  })

  it("leaves Reno the share that it has beside one that answers each loss", () => {
    assert.isAbove(share(Bbr), 0.8 * share(makeBbr({ toleratedLoss: 0 })))
  })
})

describe("recovery with BBR (§5.6.4.4)", () => {
  it("keeps the window that it has, and has it again at the end", () => {
    const { state, told } = cruising()
    const recovering = Bbr.onCongestion(state, "loss", told)
    assert.strictEqual(recovering.window, state.window)
    const small = { ...recovering, window: 10 * MSS }
    assert.strictEqual(Bbr.onRecovered(small, told).window, state.window)
    assert.isTrue(Bbr.ownsRecovery)
  })

  it("sends one segment after a timeout, and is back when what was under way is acknowledged", () => {
    const { state, told } = cruising()
    const timedOut = Bbr.onTimeout(state, true, told)
    assert.strictEqual(timedOut.window, MSS)
    const ack = (una: number, nxt: number) =>
      delivery({ totalDelivered: state.delivered + MSS, delivered: MSS, una, nxt }, { priorDelivered: state.delivered })
    const first = Bbr.onAck(timedOut, ack(1000, 400_000), told)
    assert.strictEqual(first.window, 4 * MSS)
    const second = Bbr.onAck(first, ack(399_000, 410_000), told)
    assert.strictEqual(second.window, 5 * MSS)
    assert.isAtLeast(Bbr.onAck(second, ack(400_000, 420_000), told).window, Math.min(state.window, PRODUCT))
  })

  it("answers an echo of congestion at the end of its round, whatever the share lost", () => {
    const { state, told } = cruising()
    const echoed = Bbr.onCongestion(state, "echo", told) as BbrState
    const after = Bbr.onAck(echoed, ended(echoed, 0.5), told) as BbrState
    assert.isBelow(after.shortTerm.bandwidth, Infinity)
    assert.isFalse(after.signals.certain)
  })

  it("survives a path that is cut for two seconds", () => {
    const run = course({ queue: PRODUCT })
    run.until("cruise")
    run.bottleneck.path.loss = 1
    run.bottleneck.run(run.bottleneck.now + 2000)
    assert.isAbove(run.flow.timeouts, 0)
    run.bottleneck.path.loss = 0
    run.bottleneck.run(run.bottleneck.now + 3000)
    const before = run.flow.delivered
    run.bottleneck.run(run.bottleneck.now + 5000)
    assert.isAbove((run.flow.delivered - before) / 5000, 0.9 * run.bottleneck.path.rate)
  })
})

describe("a mistaken recovery (§5.5.11)", () => {
  it("gives the window and the models back", () => {
    const { state, told } = cruising()
    const lost = lossyFrom(Bbr, state, told, 0.05, 0.8)
    assert.isBelow(lost.shortTerm.bandwidth, Infinity)
    const undone = Bbr.onSpurious!(lost, state, told) as BbrState
    assert.strictEqual(undone.window, state.window)
    assert.deepStrictEqual(undone.shortTerm, state.shortTerm)
    assert.strictEqual(undone.longTerm, state.longTerm)
  })

  it("leads back to where a probe was ended", () => {
    const run = course({ queue: 2 * PRODUCT })
    run.until("up")
    run.bottleneck.run(run.bottleneck.now + 60)
    const state = stateOf(run.flow)
    const told = run.flow.view()
    assert.strictEqual(state.phase, "up")
    const congested = Bbr.onCongestion(state, "loss", told) as BbrState
    const over = Bbr.onAck(
      congested,
      delivery(
        { totalDelivered: state.delivered + MSS, delivered: MSS, lost: 30 * MSS, recovering: true },
        { priorDelivered: state.delivered - PRODUCT, inFlightAtSend: PRODUCT, lost: 30 * MSS }
      ),
      told
    ) as BbrState
    assert.strictEqual(over.phase, "down")
    assert.isBelow(over.longTerm, Infinity)
    const undone = Bbr.onSpurious!(over, state, told) as BbrState
    assert.strictEqual(undone.phase, "refill")
    assert.strictEqual(undone.longTerm, Infinity)
  })

  it("leads back to Startup", () => {
    const flowing = Bbr.onAck(Bbr.initial(1000), delivery(), view()) as BbrState
    const echoed = Bbr.onCongestion(flowing, "echo", view())
    const drained = Bbr.onAck(echoed, delivery(), view({ inFlight: 30_000 })) as BbrState
    assert.strictEqual(drained.phase, "drain")
    const undone = Bbr.onSpurious!(drained, flowing, view()) as BbrState
    assert.strictEqual(undone.phase, "startup")
    assert.isFalse(undone.fullPipe.reached)
  })
})
