/**
 * A test while it runs: streams move, intervals pass, and what counts is counted.
 */
import { Turn } from "@strata/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { DataStream } from "./DataStream.ts"
import type { Interval, Load, PathSample, Sample, SideTotal } from "./Event.ts"
import type { Goal } from "./Goal.ts"
import type { Iperf3Error } from "./Iperf3Error.ts"
import * as LoadOf from "./Load.ts"
import type { Parameters } from "./Parameters.ts"
import { NOTHING, since, type Totals } from "./Tally.ts"

export interface Options<E> {
  readonly parameters: Parameters
  readonly streams: ReadonlyArray<DataStream>
  readonly goal: Goal
  /** Seconds; 0 for one interval that is the whole test. */
  readonly interval: number
  readonly emit: (interval: Interval) => Effect.Effect<void, E>
}

/** One stream at the end, from this side. */
export interface Total extends SideTotal {
  readonly stream: DataStream
  readonly path: {
    readonly congestionWindow: number
    readonly sendWindow: number
    readonly roundTrips: ReadonlyArray<number>
  }
}

export interface Summary {
  readonly totals: ReadonlyArray<Total>
  readonly load: Load
}

export interface Measurement<E> {
  /** Waits until the time is up, or the goal reached. */
  readonly over: Effect.Effect<void>
  /** Fails when a stream does, or a report cannot be made. */
  readonly failed: Effect.Effect<never, Iperf3Error | E>
  /** Waits until nothing has moved for so many milliseconds. */
  readonly stalled: (milliseconds: number) => Effect.Effect<void>
  /** Ends it: senders stop, what has not been reported is, and nothing counts from now on. Receivers go on reading. */
  readonly finish: Effect.Effect<Summary, E>
}

/** Less than this part of an interval, with nothing moved, is not reported at the end. */
const CRUMB = 0.1

/** One stream, with what it was at earlier times. */
class Meter {
  readonly stream: DataStream
  private base: Totals = NOTHING
  private baseRetransmits = 0
  private last: Totals = NOTHING
  private lastRetransmits = 0
  private congestionWindow = 0
  private sendWindow = 0
  private roundTrips: Array<number> = []

  constructor(stream: DataStream) {
    this.stream = stream
    this.restart()
  }

  /** What was until now does not count. */
  restart(): void {
    const { tally } = this.stream
    tally.jitter = 0
    this.base = tally.read()
    this.last = this.base
    this.baseRetransmits = this.retransmits()
    this.lastRetransmits = this.baseRetransmits
    this.congestionWindow = 0
    this.sendWindow = 0
    this.roundTrips = []
  }

  /** What was added since the sample before. */
  sample(): Sample {
    const totals = this.stream.tally.read()
    const path = this.samplePath()
    const sample = { stream: this.stream, totals: since(totals, this.last), path }
    this.last = totals
    return sample
  }

  get moved(): boolean {
    return this.stream.tally.bytes > this.last.bytes
  }

  total(seconds: number): Total {
    const { stream } = this
    const { blocks, bytes, highest, jitter, lost, outOfOrder } = since(stream.tally.read(), this.base)
    return {
      stream,
      seconds,
      bytes,
      retransmits: stream.info === undefined || !stream.sends ? undefined : this.retransmits() - this.baseRetransmits,
      packets: stream.info !== undefined ? 0 : stream.sends ? blocks : highest,
      lost,
      outOfOrder,
      jitter,
      path: {
        congestionWindow: this.congestionWindow,
        sendWindow: this.sendWindow,
        roundTrips: this.roundTrips
      }
    }
  }

  private retransmits(): number {
    return this.stream.info?.().counts.retransmitted ?? 0
  }

  private samplePath(): PathSample | undefined {
    const { info, sends } = this.stream
    if (info === undefined || !sends) return undefined
    const { congestion, counts, roundTrip, segmentSize, sending } = info()
    const retransmits = counts.retransmitted - this.lastRetransmits
    this.lastRetransmits = counts.retransmitted
    this.congestionWindow = Math.max(this.congestionWindow, congestion.window)
    this.sendWindow = Math.max(this.sendWindow, sending.window)
    if (roundTrip.smoothed !== undefined) this.roundTrips.push(roundTrip.smoothed)
    return {
      retransmits,
      congestionWindow: congestion.window,
      sendWindow: sending.window,
      roundTrip: roundTrip.smoothed ?? 0,
      roundTripVariance: roundTrip.variance,
      pathMtu: segmentSize.pathMtu
    }
  }
}

/** Lets streams move, and counts from now on. They stop when the scope closes. */
export const start = Effect.fnUntraced(function*<E>(
  { emit, goal, interval, parameters, streams }: Options<E>
): Effect.fn.Return<Measurement<E>, never, Turn | Scope.Scope> {
  const turn = yield* Turn
  const load = yield* LoadOf.measure
  const failure = Deferred.makeUnsafe<never, Iperf3Error | E>()
  const counted = Deferred.makeUnsafe<void>()
  const meters = streams.map((stream) => new Meter(stream))
  const omit = parameters.omit * 1000
  let omitting = omit > 0
  let begun = turn.now()
  /** Milliseconds from `begun` to the end of the last interval. */
  let reported = 0
  let finished = false

  /** The interval that ends now. */
  const cut = (): Interval => {
    const at = turn.now() - begun
    const taken: Interval = {
      _tag: "Interval",
      start: reported / 1000,
      end: at / 1000,
      omitted: omitting,
      samples: meters.map((meter) => meter.sample())
    }
    reported = at
    return taken
  }
  const report = Effect.uninterruptible(Effect.suspend(() => finished ? Effect.void : emit(cut())))

  const restart = Effect.sync(() => {
    omitting = false
    begun = turn.now()
    reported = 0
    goal.begin()
    for (const meter of meters) meter.restart()
    Deferred.doneUnsafe(counted, Effect.void)
  })
  const sleepUntil = (at: number) => Effect.suspend(() => Effect.sleep(Math.max(0, begun + at - turn.now())))

  /** One interval after the other until that time, counted from `begun`. */
  const intervals = Effect.fnUntraced(function*(until: number) {
    const step = interval === 0 ? Infinity : interval * 1000
    for (let at = Math.min(step, until); at < Infinity; at = Math.min(at + step, until)) {
      yield* sleepUntil(at)
      yield* report
      if (at === until) return
    }
    if (until === Infinity) return yield* Effect.never
  })
  const phases = Effect.gen(function*() {
    if (omitting) yield* Effect.andThen(intervals(omit), restart)
    yield* intervals(Infinity)
  })

  const failing = <A, E2 extends Iperf3Error | E>(effect: Effect.Effect<A, E2>) =>
    Effect.catch(effect, (error: Iperf3Error | E) => Deferred.fail(failure, error))
  if (!omitting) yield* restart
  const clock = yield* Effect.forkScoped(failing(phases))
  for (const stream of streams) yield* Effect.forkScoped(failing(stream.move))

  const finish = Effect.gen(function*() {
    const crumb = interval === 0 ? 0 : CRUMB * interval * 1000
    const whole = reported === 0 || turn.now() - begun - reported > crumb
    const last = whole || meters.some((meter) => meter.moved) ? cut() : undefined
    finished = true
    const seconds = (turn.now() - begun) / 1000
    const totals = meters.map((meter) => meter.total(seconds))
    for (const stream of streams) stream.stop()
    yield* Fiber.interrupt(clock)
    if (last !== undefined) yield* emit(last)
    return { totals, load: yield* load }
  })

  const moved = () => streams.reduce((sum, { tally }) => sum + tally.bytes, 0)
  return {
    over: Effect.andThen(
      Deferred.await(counted),
      parameters.time > 0 ? sleepUntil(parameters.time * 1000) : goal.reached
    ),
    failed: Deferred.await(failure),
    stalled: (milliseconds) =>
      Effect.gen(function*() {
        for (let before = -1; before !== moved();) {
          before = moved()
          yield* Effect.sleep(milliseconds)
        }
      }),
    finish
  }
})
