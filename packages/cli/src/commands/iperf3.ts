/**
 * Measures throughput as iperf3 does, with its protocol and in its words.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import { readFileSync } from "node:fs"
import * as os from "node:os"
import { ExitCode, Failure } from "../Exit.ts"
import * as Host from "../Host.ts"
import * as Client from "../iperf3/Client.ts"
import type { Event } from "../iperf3/Event.ts"
import * as Json from "../iperf3/Json.ts"
import { ProcessorTime } from "../iperf3/Load.ts"
import { check, LEAST_DATAGRAM, type Parameters } from "../iperf3/Parameters.ts"
import * as Report from "../iperf3/Report.ts"
import * as Server from "../iperf3/Server.ts"
import type { RateUnit } from "../iperf3/Units.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"

/** What the command line says; options that were not given are `None`. */
export interface Flags {
  readonly server: boolean
  readonly client: Option.Option<NetAddress.Ipv4Address>
  readonly port: number
  /** Seconds. */
  readonly interval: number
  readonly format: Option.Option<RateUnit>
  readonly json: boolean
  readonly oneOff: boolean
  readonly udp: boolean
  readonly time: Option.Option<number>
  readonly bytes: Option.Option<number>
  readonly blocks: Option.Option<number>
  readonly rate: Option.Option<{ readonly rate: number; readonly burst: number }>
  readonly length: Option.Option<number>
  readonly parallel: number
  readonly reverse: boolean
  readonly bidir: boolean
  readonly omit: number
  readonly congestion: Option.Option<string>
  readonly segmentSize: Option.Option<number>
  readonly noDelay: boolean
  readonly window: Option.Option<number>
  readonly title: Option.Option<string>
  readonly extraData: Option.Option<string>
  readonly getServerOutput: boolean
  readonly counters64: boolean
  readonly repeatingPayload: boolean
}

const DEFAULT_TIME = 10
/** Bits per second of UDP, as elsewhere. */
const DEFAULT_RATE = 1_048_576

/** What a client asks for; a length of 0 is still to be chosen. */
const parametersOf = (flags: Flags): Parameters => {
  const bytes = Option.getOrElse(flags.bytes, () => 0)
  const blocks = Option.getOrElse(flags.blocks, () => 0)
  const { burst, rate } = Option.getOrElse(flags.rate, () => ({ rate: flags.udp ? DEFAULT_RATE : 0, burst: 0 }))
  return {
    protocol: flags.udp ? "udp" : "tcp",
    direction: flags.bidir ? "both" : flags.reverse ? "reverse" : "forward",
    time: Option.getOrElse(flags.time, () => bytes > 0 || blocks > 0 ? 0 : DEFAULT_TIME),
    bytes,
    blocks,
    omit: flags.omit,
    parallel: flags.parallel,
    length: Option.getOrElse(flags.length, () => 0),
    rate,
    burst,
    pacingTimer: 1,
    segmentSize: Option.getOrUndefined(flags.segmentSize),
    window: Option.getOrUndefined(flags.window),
    noDelay: flags.noDelay,
    congestion: Option.getOrUndefined(flags.congestion),
    getServerOutput: flags.getServerOutput,
    counters64: flags.counters64,
    repeatingPayload: flags.repeatingPayload,
    title: Option.getOrUndefined(flags.title),
    extraData: Option.getOrUndefined(flags.extraData)
  }
}

const about = (): Json.About => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
  return { version: `strata ${version}`, system: `${os.type()} ${os.hostname()} ${os.release()} ${os.arch()}` }
}

const processorTime = Layer.succeed(ProcessorTime, () => process.cpuUsage())

const printJson = (events: ReadonlyArray<Event>) =>
  Output.line(JSON.stringify(Json.document(about(), events), null, "\t"))

const complain = (message: string) => Effect.sync(() => void process.stderr.write(`strata: ${message}\n`))

/** Says what happens as it happens; what went wrong with one client goes to stderr. */
const speakText = (unit: RateUnit | undefined) => {
  const reporter = Report.make(unit)
  return (event: Event) =>
    event._tag === "Failed"
      ? complain(event.message)
      : Effect.forEach(reporter.lines(event), Output.line, { discard: true })
}

/** A document for each test, at its end; `rest` is that of one that is cut short. */
const speakJson = () => {
  let events: Array<Event> = []
  const print = Effect.suspend(() => {
    const told = events
    events = []
    return printJson(told)
  })
  return {
    emit: (event: Event): Effect.Effect<void, Output.OutputClosed> => {
      if (event._tag !== "Listening") events.push(event)
      return event._tag === "Done" || event._tag === "Failed" ? print : Effect.void
    },
    rest: Effect.suspend(() => events.length === 0 ? Effect.void : print)
  }
}

const serve = (host: HostOptions, options: Flags) =>
  Effect.gen(function*() {
    const stack = yield* Effect.context<Effect.Services<typeof Host.showLog>>()
    const showLog = Effect.provideContext(Host.showLog, stack)
    const unit = Option.getOrUndefined(options.format)
    const speech = options.json ? speakJson() : { emit: speakText(unit), rest: Effect.void }
    yield* Server.serve({
      port: options.port,
      oneOff: options.oneOff,
      interval: options.interval,
      emit: (event) => event._tag === "Listening" ? Effect.andThen(showLog, speech.emit(event)) : speech.emit(event),
      output: (events) => options.json ? { json: Json.document(about(), events) } : { text: Report.text(events, unit) }
    }).pipe(Effect.onInterrupt(() => Effect.ignore(speech.rest)))
  }).pipe(Effect.provide(processorTime), Host.run(host))

/** One document at the end, however the test ends. */
const measureJson = (options: Client.Options<never>) =>
  Effect.suspend(() => {
    const events: Array<Event> = []
    return Client.run({ ...options, emit: (event) => Effect.sync(() => void events.push(event)) }).pipe(
      Effect.onInterrupt(() => printJson([...events, { _tag: "Failed", message: "the client has terminated" }])),
      Effect.matchEffect({
        onSuccess: () => printJson(events),
        onFailure: ({ message }) =>
          Effect.andThen(printJson([...events, { _tag: "Failed", message }]), Effect.fail(new ExitCode({ code: 1 })))
      })
    )
  })

const measure = (host: HostOptions, options: Flags, server: NetAddress.Ipv4Address) =>
  Effect.gen(function*() {
    const { interval, json, port } = options
    const parameters = parametersOf(options)
    // What is out of bounds is known before anybody is called.
    yield* check(parameters.length === 0 ? { ...parameters, length: LEAST_DATAGRAM } : parameters)
    yield* Host.run(host)(Effect.gen(function*() {
      yield* Host.showLog
      const remote = NetAddress.inetAddressUnsafe(server, port) as NetAddress.InetAddressV4
      const common = { remote, parameters, interval }
      yield* json
        ? measureJson({ ...common, emit: () => Effect.void })
        : Client.run({ ...common, emit: speakText(Option.getOrUndefined(options.format)) })
    }))
  }).pipe(Effect.provide(processorTime))

/** The first option that only one side understands, by its name. */
const misplaced = (flags: Flags): string | undefined => {
  const forServers: ReadonlyArray<readonly [string, boolean]> = [["one-off", flags.oneOff]]
  const forClients: ReadonlyArray<readonly [string, boolean]> = [
    ["udp", flags.udp],
    ["time", Option.isSome(flags.time)],
    ["bytes", Option.isSome(flags.bytes)],
    ["blockcount", Option.isSome(flags.blocks)],
    ["bitrate", Option.isSome(flags.rate)],
    ["length", Option.isSome(flags.length)],
    ["reverse", flags.reverse],
    ["bidir", flags.bidir]
  ]
  return (flags.server ? forClients : forServers).find(([, given]) => given)?.[0]
}

export const iperf3 = (host: HostOptions, flags: Flags) =>
  Effect.gen(function*() {
    const { client, server } = flags
    if (server === Option.isSome(client)) {
      return yield* new Failure({ message: "either --server (-s) or --client (-c) with an address is needed" })
    }
    const wrong = misplaced(flags)
    if (wrong !== undefined) {
      return yield* new Failure({ message: `--${wrong} is for ${server ? "clients" : "servers"} only` })
    }
    if (flags.reverse && flags.bidir) {
      return yield* new Failure({ message: "--reverse and --bidir exclude each other" })
    }
    yield* Option.isSome(client) ? measure(host, flags, client.value) : serve(host, flags)
  })
