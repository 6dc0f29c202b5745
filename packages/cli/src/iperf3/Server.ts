/**
 * The side that waits for clients, and serves one test at a time.
 */
import { Entropy, type Turn } from "@strata/core"
import type { Tcp } from "@strata/core/tcp/Tcp"
import type { Udp } from "@strata/core/udp/Udp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Control from "./Control.ts"
import { type DataStream, makeBlock, type Plan, roles } from "./DataStream.ts"
import * as Door from "./Door.ts"
import type { Ended, Event } from "./Event.ts"
import * as Goal from "./Goal.ts"
import { Iperf3Error, malformed, Terminated, timedOut } from "./Iperf3Error.ts"
import * as Measurement from "./Measurement.ts"
import * as Outcome from "./Outcome.ts"
import * as Parameters from "./Parameters.ts"
import { Problem, State } from "./Protocol.ts"
import * as Results from "./Results.ts"
import * as TcpStreams from "./TcpStreams.ts"
import * as UdpStreams from "./UdpStreams.ts"

export interface Options<E> {
  readonly port: number
  /** Whether to leave after one test. */
  readonly oneOff: boolean
  /** Seconds between reports; 0 for none before the end. */
  readonly interval: number
  /** Is told what happens, in order. */
  readonly emit: (event: Event) => Effect.Effect<void, E>
  /** What a client gets that asks for this side's report, made of the events of its test. */
  readonly output: (events: ReadonlyArray<Event>) => Ended["serverOutput"]
}

/** What a server needs of its stack. */
export type Services = Tcp | Udp | Turn | Entropy

/** The most octets of parameters, and of a client's results. */
const PARAMETERS_LIMIT = 64 * 1024
const RESULTS_LIMIT = 1024 * 1024

/** Milliseconds: how long nothing may move, and how much longer than agreed a test may last. */
const IDLE = 120_000
const GRACE = 30_000

/** Milliseconds that octets have to arrive that the client says it has sent. */
const SETTLE = 500

/** What a client is told about an error; nothing where it has gone. */
const problemOf = ({ reason }: Iperf3Error): number | undefined => {
  switch (reason._tag) {
    case "Refused":
      return reason.problem
    case "Malformed":
      return Problem.parameters
    case "TimedOut":
      return Problem.idle
    case "StreamFailed":
      return Problem.acceptStream
    default:
      return undefined
  }
}

/** Waits until the client says that the test is over; fails when it says something else, or goes. */
const testEnd = (control: Control.Control): Effect.Effect<void, Iperf3Error> =>
  Effect.flatMap(control.readState, (state): Effect.Effect<void, Iperf3Error> => {
    if (state === State.testEnd) return Effect.void
    return state === State.clientTerminate
      ? Effect.fail(new Iperf3Error({ reason: new Terminated({ by: "client" }) }))
      : Effect.fail(malformed(`state ${state} where it was not due`))
  })

/** How long a test may take altogether that ends by time. */
const bound = ({ omit, time }: Parameters.Parameters): number => (time + omit) * 1000 + GRACE

/** The streams that the client opens, in the order in which it does. */
const openStreams = Effect.fnUntraced(function*(
  port: number,
  door: Door.Door,
  { control, nextStream, want }: Door.Visitor,
  plan: Plan
): Effect.fn.Return<ReadonlyArray<DataStream>, Iperf3Error, Services | Scope.Scope> {
  const { parameters } = plan
  const wanted = roles(parameters, "server")
  const early = Effect.andThen(testEnd(control), Effect.fail(malformed("the end of a test that has not begun")))
  const all = <R>(accept: (sends: boolean, index: number) => Effect.Effect<DataStream, never, R>) =>
    Control.soon("opening the streams")(
      Effect.andThen(control.writeState(State.createStreams), Effect.raceFirst(Effect.forEach(wanted, accept), early))
    )
  if (parameters.protocol === "udp") {
    const listening = yield* UdpStreams.listen(port, control.connection.remote.address, plan)
    return yield* all((sends, index) => listening.accept(index, sends))
  }
  yield* door.listen(yield* TcpStreams.connectionOptions(parameters))
  want(wanted.length)
  return yield* all((sends, index) =>
    Effect.flatMap(nextStream, (connection) => TcpStreams.fromConnection(connection, index, sends, plan))
  )
})

/** From the beginning of the test to its results; tells what was measured also when that ends early. */
const measure = Effect.fnUntraced(function*<E>(
  control: Control.Control,
  streams: ReadonlyArray<DataStream>,
  plan: Plan,
  interval: number,
  emit: (event: Event) => Effect.Effect<void, E>,
  output: () => Ended["serverOutput"]
): Effect.fn.Return<void, Iperf3Error | E, Turn | Scope.Scope> {
  const { goal, parameters } = plan
  const measurement = yield* Measurement.start({ parameters, streams, goal, interval, emit })
  let summary: Measurement.Summary | undefined
  const finish = Effect.tap(measurement.finish, (finished) =>
    Effect.sync(() => {
      summary = finished
    }))
  const told = Effect.suspend(() => summary === undefined ? finish : Effect.succeed(summary))

  const exchange = Effect.gen(function*() {
    const late = parameters.time > 0 ? Effect.sleep(bound(parameters)) : Effect.never
    const stuck = Effect.raceFirst(measurement.stalled(IDLE), late)
    yield* testEnd(control).pipe(
      Effect.raceFirst(measurement.failed),
      Effect.raceFirst(Effect.andThen(stuck, Effect.fail(timedOut("the end of the test"))))
    )
    if (parameters.time === 0 && streams.some(({ sends }) => !sends)) {
      yield* Effect.timeoutOption(goal.reached, SETTLE)
    }
    const own = yield* finish
    // A client that waits for the rest of a block would not hear anything else.
    yield* Effect.forEach(streams, ({ close }) => close, { discard: true })
    yield* control.writeState(State.exchangeResults)
    const results = yield* Effect.flatMap(control.readJson("results", RESULTS_LIMIT), Results.decode)
    yield* emit(Outcome.toEnded(own, results, false))
    const shown = parameters.getServerOutput ? output() : undefined
    yield* control.writeJson(Outcome.toResults(own, shown), State.displayResults)
  })
  yield* exchange.pipe(
    Effect.onInterrupt(() => Effect.ignore(control.writeState(State.serverTerminate))),
    Effect.onError(() => Effect.ignore(Effect.flatMap(told, (own) => emit(Outcome.toEnded(own, undefined, false)))))
  )
  // The client says that it is done, or just goes.
  yield* Effect.ignore(Control.soon("the client's last word")(control.readState))
  yield* emit({ _tag: "Done" })
})

/** One test of one client. */
const serveOne = Effect.fnUntraced(function*<E>(
  door: Door.Door,
  visitor: Door.Visitor,
  { emit, interval, output, port }: Options<E>
): Effect.fn.Return<void, Iperf3Error | E, Services | Scope.Scope> {
  const { control, cookie } = visitor
  const { connection } = control
  const entropy = yield* Entropy
  const events: Array<Event> = []
  let keepsIntervals = false
  const tell = (event: Event) => {
    if (event._tag !== "Interval" || keepsIntervals) events.push(event)
    return emit(event)
  }
  yield* tell({ _tag: "Accepted", remote: connection.remote })
  yield* control.writeState(State.paramExchange)
  const json = yield* control.readJson("parameters", PARAMETERS_LIMIT)
  const parameters = yield* Parameters.decode(json)
  keepsIntervals = parameters.getServerOutput
  const plan: Plan = {
    parameters,
    goal: Goal.make(parameters),
    stopsAtGoal: false,
    block: makeBlock(parameters, entropy.u32)
  }
  const streams = yield* openStreams(port, door, visitor, plan)
  yield* tell({
    _tag: "Started",
    side: "server",
    cookie,
    control: { remote: connection.remote, segmentSize: connection.info().segmentSize.send },
    parameters,
    streams,
    time: yield* Clock.currentTimeMillis
  })
  yield* control.writeState(State.testStart, State.testRunning)
  yield* measure(control, streams, plan, interval, tell, () => output(events))
})

/** Tells the client what went wrong, where it is there to hear it, and goes on. */
const explain = Effect.fnUntraced(function*<E>(visitor: Door.Visitor, error: Iperf3Error, { emit }: Options<E>) {
  const problem = problemOf(error)
  if (problem !== undefined) yield* Effect.ignore(visitor.control.writeProblem(State.serverError, problem))
  yield* emit({ _tag: "Failed", message: error.message })
})

const isOurs = (error: unknown): error is Iperf3Error => error instanceof Iperf3Error

/** Serves tests one after the other; others are told meanwhile that it is busy. Interrupting it ends a test in order. */
export const serve = Effect.fnUntraced(function*<E>(
  options: Options<E>
): Effect.fn.Return<void, Iperf3Error | E, Services> {
  yield* Effect.scoped(Effect.gen(function*() {
    const { emit, oneOff, port } = options
    const door = yield* Door.make(port)
    for (let test = 1;; test++) {
      yield* emit({ _tag: "Listening", port, test })
      yield* Effect.scoped(Effect.gen(function*() {
        const visitor = yield* door.next
        yield* serveOne(door, visitor, options).pipe(
          Effect.catchIf(isOurs, (error) => explain(visitor, error, options))
        )
      }))
      if (oneOff) return
      yield* door.listen()
    }
  }))
})
