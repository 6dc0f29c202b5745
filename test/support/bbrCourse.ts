/**
 * What BBR does in the course of a flow.
 */
import { Bbr } from "@strata/core/tcp/Bbr"
import { type BbrState, type Phase } from "@strata/core/tcp/bbr/State"
import type { CongestionView, Delivery, RateSample } from "@strata/core/tcp/Congestion"
import { Bottleneck, type Flow, type FlowOptions, type Path } from "./bottleneck.ts"

export const stateOf = (flow: Flow): BbrState => flow.state as BbrState

/** A phase that was entered. */
export interface Entry {
  readonly phase: Phase
  readonly at: number
  /** The state then, and octets in flight. */
  readonly state: BbrState
  readonly inFlight: number
}

export interface Course {
  readonly bottleneck: Bottleneck
  readonly flow: Flow
  readonly entries: ReadonlyArray<Entry>
  /** Runs until a phase is entered, or a time is over; the phase, if it was. */
  readonly until: (phase: Phase, within?: number) => Entry | undefined
  /** The entries into a phase. */
  readonly all: (phase: Phase) => ReadonlyArray<Entry>
}

/** One flow of BBR through a path. */
export const course = (path: Partial<Path> = {}, options: Partial<FlowOptions> & { seed?: number } = {}): Course => {
  const bottleneck = new Bottleneck(path, options.seed)
  const entries: Array<Entry> = []
  const flow = bottleneck.add({
    algorithm: Bbr,
    ...options,
    watch: (watched, now) => {
      const state = stateOf(watched)
      if (entries.at(-1)?.phase !== state.phase) {
        entries.push({ phase: state.phase, at: now, state, inFlight: watched.inFlight })
      }
      options.watch?.(watched, now)
    }
  })
  return {
    bottleneck,
    flow,
    entries,
    all: (phase) => entries.filter((entry) => entry.phase === phase),
    until: (phase, within = 30_000) => {
      const end = bottleneck.now + within
      let seen = entries.length
      while (bottleneck.now < end) {
        bottleneck.run(Math.min(end, bottleneck.now + 1))
        for (; seen < entries.length; seen++) if (entries[seen]!.phase === phase) return entries[seen]
      }
      return undefined
    }
  }
}

export const view = (changes: Partial<CongestionView> = {}): CongestionView => ({
  mss: 1000,
  inFlight: 10_000,
  smoothedRtt: 100,
  minimumRtt: 100,
  now: 1000,
  ...changes
})

/** The acknowledgement of 1000 octets of a flight of 10 000 that took 100 ms. */
export const delivery = (changes: Partial<Delivery> = {}, sample: Partial<RateSample> = {}): Delivery => ({
  acknowledged: 1000,
  delivered: 1000,
  totalDelivered: 20_000,
  lost: 0,
  rtt: 100,
  rate: {
    delivered: 10_000,
    priorDelivered: 10_000,
    interval: 100,
    inFlightAtSend: 10_000,
    lost: 0,
    applicationLimited: false,
    ...sample
  },
  windowLimited: true,
  recovering: false,
  afterTimeout: false,
  una: 0,
  nxt: 0,
  congestionEcho: false,
  ...changes
})
