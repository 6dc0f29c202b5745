/**
 * The side that asks for a test, and says when it is over.
 */
import { Entropy, type Turn } from "@strata/core"
import { type Connection, Tcp } from "@strata/core/tcp/Tcp"
import type { Udp } from "@strata/core/udp/Udp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { InetAddressV4 } from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Control from "./Control.ts"
import { type DataStream, makeBlock, type Plan, roles } from "./DataStream.ts"
import type { Event } from "./Event.ts"
import * as Goal from "./Goal.ts"
import { Busy, Iperf3Error, malformed, ServerFailed, streamFailed, Terminated } from "./Iperf3Error.ts"
import * as Measurement from "./Measurement.ts"
import * as Outcome from "./Outcome.ts"
import * as Parameters from "./Parameters.ts"
import { describeProblem, makeCookie, State } from "./Protocol.ts"
import * as Results from "./Results.ts"
import * as TcpStreams from "./TcpStreams.ts"
import * as UdpStreams from "./UdpStreams.ts"

export interface Options<E> {
  readonly remote: InetAddressV4
  /** A length of 0 is chosen: 128 KiB over TCP, and over UDP what fits into a packet. */
  readonly parameters: Parameters.Parameters
  /** Seconds between reports; 0 for none before the end. */
  readonly interval: number
  /** Is told what happens, in order. */
  readonly emit: (event: Event) => Effect.Effect<void, E>
}

/** What a client needs of its stack. */
export type Services = Tcp | Udp | Turn | Entropy

/** Milliseconds that are left for what was sent to arrive, before a test that ends by octets is said to be over. */
const FLUSH = 5000

/** What the server says when it does not go on. */
const refusal = Effect.fnUntraced(function*(
  control: Control.Control,
  state: number
): Effect.fn.Return<never, Iperf3Error> {
  switch (state) {
    case State.accessDenied:
      return yield* new Iperf3Error({ reason: new Busy() })
    case State.serverTerminate:
      return yield* new Iperf3Error({ reason: new Terminated({ by: "server" }) })
    case State.serverError: {
      const [problem, system] = yield* control.readProblem
      const why = describeProblem(problem) + (system === 0 ? "" : ` (its error ${system})`)
      return yield* new Iperf3Error({ reason: new ServerFailed({ why }) })
    }
    default:
      return yield* malformed(`state ${state} where it was not due`)
  }
})

/** Waits for the server's next state, which must be that one. */
const expectState = (control: Control.Control, expected: number): Effect.Effect<void, Iperf3Error> =>
  Control.soon("the server's answer")(
    Effect.flatMap(control.readState, (state) => state === expected ? Effect.void : refusal(control, state))
  )

const withLength = (wanted: Parameters.Parameters, control: Connection): Parameters.Parameters => {
  if (wanted.length > 0) return wanted
  if (wanted.protocol === "tcp") return { ...wanted, length: Parameters.DEFAULT_BLOCK }
  const fits = Math.min(control.info().segmentSize.send, Parameters.Limit.datagram)
  return { ...wanted, length: Math.max(fits, Parameters.LEAST_DATAGRAM) }
}

/** Waits until all that was sent has arrived, but not for ever. */
const flush = (streams: ReadonlyArray<DataStream>): Effect.Effect<void> => {
  const queued = () => streams.reduce((sum, { info }) => sum + (info?.().sending.queued ?? 0), 0)
  return Effect.gen(function*() {
    while (queued() > 0) yield* Effect.sleep(1)
  }).pipe(Effect.timeoutOption(FLUSH), Effect.asVoid)
}

/** From the beginning of the test to its results; tells what was measured also when that ends early. */
const measure = Effect.fnUntraced(function*<E>(
  control: Control.Control,
  streams: ReadonlyArray<DataStream>,
  plan: Plan,
  { emit, interval }: Options<E>
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
    const early = Effect.flatMap(control.readState, (state) => refusal(control, state))
    yield* Effect.raceFirst(measurement.over, Effect.raceFirst(measurement.failed, early))
    const own = yield* finish
    if (goal.over) yield* flush(streams)
    yield* control.writeState(State.testEnd)
    yield* expectState(control, State.exchangeResults)
    yield* control.writeJson(Outcome.toResults(own))
    const results = yield* Effect.flatMap(control.readJson("results", Results.LIMIT), Results.decode)
    yield* expectState(control, State.displayResults)
    return Outcome.toEnded(own, results, true)
  })
  const ended = yield* exchange.pipe(
    Effect.onInterrupt(() => Effect.ignore(control.writeState(State.clientTerminate))),
    Effect.onError(() => Effect.ignore(Effect.flatMap(told, (own) => emit(Outcome.toEnded(own, undefined, true)))))
  )
  yield* emit(ended)
  yield* Effect.ignore(control.writeState(State.iperfDone))
  yield* emit({ _tag: "Done" })
})

/** Runs one test. Interrupting it ends the test in order, and tells what was measured until then. */
export const run = Effect.fnUntraced(function*<E>(
  options: Options<E>
): Effect.fn.Return<void, Iperf3Error | E, Services> {
  yield* Effect.scoped(test(options))
})

const test = Effect.fnUntraced(function*<E>(
  options: Options<E>
): Effect.fn.Return<void, Iperf3Error | E, Services | Scope.Scope> {
  const { emit, remote } = options
  const tcp = yield* Tcp
  const entropy = yield* Entropy
  yield* emit({ _tag: "Connecting", remote })
  const connection = yield* Effect.mapError(tcp.connect({ remote, settings: { nagle: false } }), streamFailed)
  const parameters = yield* Parameters.check(withLength(options.parameters, connection))
  const plan: Plan = {
    parameters,
    goal: Goal.make(parameters),
    stopsAtGoal: true,
    block: makeBlock(parameters, entropy.u32)
  }
  const control = Control.make(connection, "server")
  const cookie = makeCookie(entropy.below)

  yield* control.writeCookie(cookie)
  yield* expectState(control, State.paramExchange)
  yield* control.writeJson(Parameters.encode(parameters))
  yield* expectState(control, State.createStreams)
  const open = parameters.protocol === "tcp"
    ? (sends: boolean, index: number) => TcpStreams.open(remote, cookie, index, sends, plan)
    : (sends: boolean, index: number) => UdpStreams.open(remote, index, sends, plan)
  const streams = yield* Effect.forEach(
    roles(parameters, "client"),
    open as (sends: boolean, index: number) => Effect.Effect<DataStream, Iperf3Error, Services | Scope.Scope>
  )
  yield* expectState(control, State.testStart)
  yield* emit({
    _tag: "Started",
    side: "client",
    cookie,
    control: { remote, segmentSize: connection.info().segmentSize.send },
    parameters,
    streams,
    time: yield* Clock.currentTimeMillis
  })
  yield* expectState(control, State.testRunning)
  yield* measure(control, streams, plan, options)
})
