/**
 * Thirty segments over a path of 100 ms, and every place at which a packet can be lost, late, or doubled, alone and in pairs: how long the
 * transfer takes then, and that nothing is sent again that need not be.
 */
import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Cubic } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { type Fate, MSS, type PipeOptions, type Transfer, transfer } from "../../../support/tcpPipe.ts"

const SEGMENTS = 30
const ROUND_TRIP = 100
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)
const positions = range(0, SEGMENTS)

/** The transfer with these packets lost, or whatever else is said of them. */
const run = (faults: ReadonlyArray<number | readonly [number, Fate]>, options: Partial<PipeOptions> = {}): Transfer =>
  transfer({
    segments: SEGMENTS,
    faults: new Map(faults.map((fault) => typeof fault === "number" ? [fault, "lost"] : fault)),
    ...options
  })

interface Bounds {
  /** Round trips more than without any fault. */
  readonly roundTrips: number
  readonly retransmitted: number
  readonly timeouts: number
  /** Segments that arrived twice. */
  readonly duplicates: number
}

/** At most that. */
const holds = (name: string, { duplicates, sender, time }: Transfer, undisturbed: Transfer, bounds: Bounds): void => {
  const actual: Bounds = {
    roundTrips: (time - undisturbed.time) / ROUND_TRIP,
    retransmitted: sender.counts.retransmitted,
    timeouts: sender.counts.timeouts,
    duplicates: duplicates / MSS
  }
  for (const key of ["roundTrips", "retransmitted", "timeouts", "duplicates"] as const) {
    if (actual[key] <= bounds[key]) continue
    assert.fail(`${name}: ${key} ${actual[key]}, and not ${bounds[key]} at most; ${JSON.stringify(actual)}`)
  }
}

/** The number of the first packet that is a repetition. */
const repetition = (fault: number, options: Partial<PipeOptions>): number => {
  let sent = 0
  let found = -1
  run([fault], {
    ...options,
    watch: (before, after) => {
      const repeated = after.counts.retransmitted > before.counts.retransmitted
      if (repeated && found < 0) found = sent
      if (repeated || after.snd.nxt !== before.snd.nxt) sent++
    }
  })
  // The SYN moves SND.NXT as well.
  return found - 1
}

interface Variant {
  readonly name: string
  readonly settings: Partial<TcpSettings>
}

const withSack: ReadonlyArray<Variant> = [
  { name: "SACK and timestamps", settings: {} },
  { name: "SACK", settings: { timestamps: false } }
]
const withoutSack: ReadonlyArray<Variant> = [
  { name: "timestamps", settings: { selectiveAcknowledgement: false } },
  { name: "neither", settings: { selectiveAcknowledgement: false, timestamps: false } }
]

for (const { name, settings } of withSack) {
  describe(`with ${name}`, () => {
    const undisturbed = run([], { settings })

    it("any segment may be lost: it goes once more, and nothing else does", () => {
      for (const lost of positions) {
        const bounds = { roundTrips: 4, retransmitted: 1, timeouts: 0, duplicates: 0 }
        holds(`${lost}`, run([lost], { settings }), undisturbed, bounds)
      }
    })

    it("any two segments", () => {
      for (const first of positions) {
        for (const second of range(first + 1, SEGMENTS)) {
          const bounds = { roundTrips: 7, retransmitted: 2, timeouts: 0, duplicates: 0 }
          holds(`${first}, ${second}`, run([first, second], { settings }), undisturbed, bounds)
        }
      }
    })

    it("many of three segments", () => {
      for (const first of range(0, SEGMENTS / 3).map((index) => index * 3)) {
        for (const second of range(first + 1, SEGMENTS)) {
          for (const third of range(second + 1, SEGMENTS).filter((index) => index % 2 === 0)) {
            const bounds = { roundTrips: 9, retransmitted: 3, timeouts: 0, duplicates: 0 }
            holds(`${first}, ${second}, ${third}`, run([first, second, third], { settings }), undisturbed, bounds)
          }
        }
      }
    })

    it("any row of segments, short of all that are on their way", () => {
      for (const length of range(2, 9)) {
        for (const first of range(0, SEGMENTS - length + 1)) {
          const bounds = { roundTrips: 9, retransmitted: length + 1, timeouts: 0, duplicates: 1 }
          holds(`${length} from ${first} on`, run(range(first, first + length), { settings }), undisturbed, bounds)
        }
      }
    })

    it("any segment and its repetition: that takes a timeout at worst", () => {
      for (const lost of positions) {
        const again = repetition(lost, { settings })
        assert.isAtLeast(again, Math.min(lost + 3, SEGMENTS))
        const bounds = { roundTrips: 8, retransmitted: 3, timeouts: 1, duplicates: 0 }
        const result = run([lost, again], { settings })
        holds(`${lost}, ${again}`, result, undisturbed, bounds)
        // Something new follows the repetition, and shows that it is lost as well.
        if (lost < 9) assert.strictEqual(result.sender.counts.timeouts, 0, `${lost}`)
      }
    })

    it("any acknowledgement: the last one costs a probe", () => {
      const { acknowledgements } = undisturbed
      for (const lost of range(0, acknowledgements)) {
        const isLast = lost === acknowledgements - 1
        const bounds = {
          roundTrips: isLast ? 4 : 1,
          retransmitted: isLast ? 1 : 0,
          timeouts: 0,
          duplicates: isLast ? 1 : 0
        }
        const result = run([], { settings, acknowledgementFaults: new Map([[lost, "lost"]]) })
        holds(`${lost}`, result, undisturbed, bounds)
        assert.strictEqual(result.sender.counts.tailRecoveries, 0)
        assert.strictEqual(result.sender.congestion.slowStartThreshold, Infinity)
      }
    })

    it("any segment and any acknowledgement", () => {
      for (const lost of positions) {
        for (const acknowledgement of range(0, SEGMENTS)) {
          const result = run([lost], { settings, acknowledgementFaults: new Map([[acknowledgement, "lost"]]) })
          const bounds = { roundTrips: 7, retransmitted: 2, timeouts: 1, duplicates: 1 }
          holds(`${lost}, acknowledgement ${acknowledgement}`, result, undisturbed, bounds)
        }
      }
    })

    it("any segment may come after one or two that left later, and nothing happens", () => {
      for (const after of [1, 2]) {
        for (const late of positions) {
          const bounds = { roundTrips: 1, retransmitted: 0, timeouts: 0, duplicates: 0 }
          holds(`${late} after ${after}`, run([[late, { after }]], { settings }), undisturbed, bounds)
        }
      }
    })

    it("after more it goes again, and the windows are given back", () => {
      for (const after of [3, 4, 5, 6]) {
        for (const late of positions) {
          const result = run([[late, { after }]], { settings })
          holds(`${late} after ${after}`, result, undisturbed, {
            roundTrips: 1,
            retransmitted: 1,
            timeouts: 0,
            duplicates: 1
          })
          assert.strictEqual(result.sender.congestion.slowStartThreshold, Infinity, `${late} after ${after}`)
        }
      }
    })

    it("the second time it does not even go again", () => {
      for (const late of range(0, 20)) {
        const again = late + 9
        const result = run([[late, { after: 5 }], [again, { after: 5 }]], { settings })
        const bounds = { roundTrips: 2, retransmitted: 1, timeouts: 0, duplicates: 1 }
        holds(`${late}, ${again}`, result, undisturbed, bounds)
      }
    })

    it("any segment may come twice, and nothing happens", () => {
      for (const doubled of positions) {
        const result = run([[doubled, "doubled"]], { settings })
        holds(`${doubled}`, result, undisturbed, { roundTrips: 0.1, retransmitted: 0, timeouts: 0, duplicates: 1 })
        assert.strictEqual(result.sender.rack.multiplier, 1)
      }
    })

    it("one may be lost while another comes late, or twice", () => {
      for (const lost of positions) {
        for (const other of positions) {
          if (lost === other) continue
          const late = run([lost, [other, { after: 4 }]], { settings })
          const bounds = { roundTrips: 6, retransmitted: 2, timeouts: 0, duplicates: 1 }
          holds(`${lost} lost, ${other} late`, late, undisturbed, bounds)
          const doubled = run([lost, [other, "doubled"]], { settings })
          holds(`${lost} lost, ${other} twice`, doubled, undisturbed, { ...bounds, retransmitted: 1 })
        }
      }
    })

    it("segments may be handed over in large pieces that a device cuts", () => {
      for (const limit of [4 * MSS, 64 * MSS]) {
        const large = run([], { settings, limit })
        for (const lost of positions) {
          const bounds = { roundTrips: 4, retransmitted: 1, timeouts: 0, duplicates: 0 }
          holds(`${lost} of ${limit}`, run([lost], { settings, limit }), large, bounds)
        }
      }
    })
  })
}

for (const { name, settings } of withoutSack) {
  describe(`with ${name}`, () => {
    const undisturbed = run([], { settings })

    it("any segment may be lost: it goes once more, and nothing else does", () => {
      for (const lost of positions) {
        // Too little follows the last four to tell of them: the first acknowledgement behind the gap may be of what came before it.
        const timeouts = lost < SEGMENTS - 4 ? 0 : 1
        holds(`${lost}`, run([lost], { settings }), undisturbed, {
          roundTrips: 5,
          retransmitted: 1,
          timeouts,
          duplicates: 0
        })
      }
    })

    it("any two segments: the second has to wait for the first", () => {
      for (const first of positions) {
        for (const second of range(first + 1, SEGMENTS)) {
          const bounds = { roundTrips: 10, retransmitted: 3, timeouts: 2, duplicates: 1 }
          holds(`${first}, ${second}`, run([first, second], { settings }), undisturbed, bounds)
        }
      }
    })

    it("any segment may come after others that left later", () => {
      for (const after of [1, 2, 3, 4, 5, 6]) {
        for (const late of positions) {
          const result = run([[late, { after }]], { settings })
          const again = after < 3 ? 0 : 1
          const bounds = { roundTrips: 1, retransmitted: again, timeouts: 0, duplicates: again }
          holds(`${late} after ${after}`, result, undisturbed, bounds)
          assert.strictEqual(result.sender.congestion.slowStartThreshold, Infinity, `${late} after ${after}`)
        }
      }
    })

    it("any acknowledgement may be lost, and any segment come twice", () => {
      const bounds = { roundTrips: 4, retransmitted: 0, timeouts: 0, duplicates: 1 }
      for (const fault of positions) {
        const acknowledgementFaults = new Map<number, Fate>([[fault, "lost"]])
        holds(`acknowledgement ${fault}`, run([], { settings, acknowledgementFaults }), undisturbed, bounds)
        holds(`${fault}`, run([[fault, "doubled"]], { settings }), undisturbed, bounds)
      }
    })
  })
}

const algorithms: ReadonlyArray<CongestionAlgorithm> = [Reno, Cubic, Bbr]

for (const congestion of algorithms) {
  describe(`with the congestion control ${congestion.name}`, () => {
    const undisturbed = run([], { congestion })

    it("one segment or two may be lost without a timeout", () => {
      for (const first of positions) {
        const bounds = { roundTrips: 8, retransmitted: 1, timeouts: 0, duplicates: 0 }
        holds(`${first}`, run([first], { congestion }), undisturbed, bounds)
        for (const second of range(first + 1, SEGMENTS)) {
          holds(`${first}, ${second}`, run([first, second], { congestion }), undisturbed, {
            ...bounds,
            retransmitted: 2
          })
        }
      }
    })
  })
}
