/**
 * The command line: every command, its arguments and options.
 *
 * What a command does is imported when it runs, so that help and mistakes are
 * answered at once and commands that need no native driver work without it.
 */
import { names } from "@strata/core/tcp/Algorithms"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Format from "./Format.ts"
import type { RateUnit } from "./iperf3/Units.ts"
import { hostFlags, type HostOptions, type LogLevel } from "./Options.ts"

const root = Command.make("strata").pipe(
  Command.withSharedFlags(hostFlags),
  Command.withDescription("A TCP/IP host made of Effect Layers, on a Linux network device")
)

/** Imports a command's module and runs it with the shared options; `logLevel` is the command's default. */
const lazily = <Module, A, E, R>(
  logLevel: LogLevel,
  load: () => Promise<Module>,
  use: (module: Module, host: HostOptions) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const given = yield* root
    const module = yield* Effect.promise(load)
    return yield* use(module, { ...given, logLevel: Option.getOrElse(given.logLevel, () => logLevel) })
  })

const service = (name: string, port: number, description: string) =>
  Format.flag(name, Format.servicePort).pipe(
    Flag.withDescription(`${description}; 0 leaves it out (default: ${port})`),
    Flag.withDefault(port)
  )

const serve = Command.make(
  "serve",
  {
    echo: service("echo", 7, "TCP and UDP port of echo (RFC 862)"),
    discard: service("discard", 9, "TCP port of discard (RFC 863)"),
    daytime: service("daytime", 13, "TCP port of daytime (RFC 867)"),
    chargen: service("chargen", 19, "TCP port of the character generator (RFC 864)")
  },
  (ports) => lazily("info", () => import("./commands/serve.ts"), (module, host) => module.serve(host, ports))
).pipe(Command.withDescription("Offer the simple services: echo, discard, daytime, chargen"))

/** `[addr] port`: the address is in front, and may be left out. */
const listenOn = Argument.String("[addr] port").pipe(
  Argument.withDescription("The address (default: all of the host's) and the port to listen on"),
  Argument.variadic({ min: 1, max: 2 }),
  Argument.mapEffect((words) =>
    Option.match(Format.local.read(words), {
      onSome: Effect.succeed,
      onNone: () =>
        Effect.fail(
          new CliError.InvalidValue({
            option: "[addr] port",
            value: words.join(" "),
            expected: Format.local.expected,
            kind: "argument"
          })
        )
    })
  )
)

const info = Flag.Boolean("info").pipe(
  Flag.withDescription("At the end, tell on stderr what ss -ti and nstat would about TCP"),
  Flag.withDefault(false)
)

const tcps = Command.make(
  "tcps",
  { local: listenOn, info },
  (options) =>
    lazily(
      "info",
      () => import("./commands/tcps.ts"),
      (module, host) => module.tcps(host, options.local, options.info)
    )
).pipe(Command.withDescription("Be a TCP echo server"))

const udps = Command.make(
  "udps",
  { local: listenOn },
  ({ local }) => lazily("info", () => import("./commands/udps.ts"), (module, host) => module.udps(host, local))
).pipe(Command.withDescription("Be a UDP echo server"))

const client = {
  source: Format.flag("source", Format.address).pipe(
    Flag.withAlias("s"),
    Flag.withDescription("The address to send from (default: by the route)"),
    Flag.optional
  ),
  port: Format.flag("port", Format.port).pipe(
    Flag.withAlias("p"),
    Flag.withDescription("The port to send from (default: a random one)"),
    Flag.optional
  ),
  remote: Format.argument("host:port", Format.endpoint).pipe(Argument.withDescription("Where to"))
}

const tcpc = Command.make(
  "tcpc",
  { ...client, info },
  (options) => lazily("warning", () => import("./commands/tcpc.ts"), (module, host) => module.tcpc(host, options))
).pipe(Command.withDescription("Connect, send stdin and print what comes back"))

const udpc = Command.make(
  "udpc",
  {
    ...client,
    wait: Format.flag("wait", Format.seconds).pipe(
      Flag.withAlias("w"),
      Flag.withDescription(
        "Seconds to wait for an answer, once stdin has ended (default: 4 for the first, 1 for another)"
      ),
      Flag.optional
    )
  },
  (options) => lazily("warning", () => import("./commands/udpc.ts"), (module, host) => module.udpc(host, options))
).pipe(Command.withDescription("Send each line of stdin as a datagram and print what comes back"))

const ping = Command.make(
  "ping",
  {
    count: Format.flag("count", Format.count).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many requests to send (default: until interrupted)"),
      Flag.optional,
      Flag.map(Option.getOrElse(() => Infinity))
    ),
    interval: Format.flag("interval", Format.seconds).pipe(
      Flag.withAlias("i"),
      Flag.withDescription("Seconds from one request to the next; 0 sends as replies come (default: 1)"),
      Flag.withDefault(1)
    ),
    size: Format.flag("size", Format.payloadSize).pipe(
      Flag.withAlias("s"),
      Flag.withDescription("Bytes of payload (default: 56)"),
      Flag.withDefault(56)
    ),
    timeout: Format.flag("timeout", Format.seconds).pipe(
      Flag.withAlias("W"),
      Flag.withDescription("Seconds to wait for each reply (default: 4)"),
      Flag.withDefault(4)
    ),
    source: Format.flag("source", Format.address).pipe(
      Flag.withAlias("I"),
      Flag.withDescription("The host's address to send from (default: by the route)"),
      Flag.optional,
      Flag.map(Option.getOrUndefined)
    ),
    destination: Format.argument("host", Format.address).pipe(Argument.withDescription("Whom to ask"))
  },
  (options) => lazily("warning", () => import("./commands/ping.ts"), (module, host) => module.ping(host, options))
).pipe(Command.withDescription("Send ICMP echo requests"))

const size = (name: string, alias: string, description: string) =>
  Format.flag(name, Format.size).pipe(Flag.withAlias(alias), Flag.withDescription(description), Flag.optional)

const onOff = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const iperf3 = Command.make(
  "iperf3",
  {
    server: onOff("server", "Wait for clients, and serve one test at a time").pipe(Flag.withAlias("s")),
    client: Format.flag("client", Format.address).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("Run a test with the server at that address"),
      Flag.optional
    ),
    port: Format.flag("port", Format.port).pipe(
      Flag.withAlias("p"),
      Flag.withDescription("The server's port (default: 5201)"),
      Flag.withDefault(5201)
    ),
    interval: Format.flag("interval", Format.seconds).pipe(
      Flag.withAlias("i"),
      Flag.withDescription("Seconds between reports; 0 for none before the end (default: 1)"),
      Flag.withDefault(1)
    ),
    format: Format.flag("format", Format.oneOf<RateUnit>("unit", ["k", "m", "g", "t", "K", "M", "G", "T"])).pipe(
      Flag.withAlias("f"),
      Flag.withDescription("The unit of rates: k, m, g, t for bits, capitals for bytes (default: what fits)"),
      Flag.optional
    ),
    json: onOff("json", "Print JSON, when a test is over").pipe(Flag.withAlias("J")),
    oneOff: onOff("one-off", "Server: leave after one test (also -1)"),
    udp: onOff("udp", "Send datagrams instead of a stream").pipe(Flag.withAlias("u")),
    time: Format.flag("time", Format.testTime).pipe(
      Flag.withAlias("t"),
      Flag.withDescription("Seconds to send for (default: 10)"),
      Flag.optional
    ),
    bytes: size("bytes", "n", "Bytes to send instead, such as 10M"),
    blocks: size("blockcount", "k", "Blocks, or datagrams, to send instead"),
    rate: Format.flag("bitrate", Format.rate).pipe(
      Flag.withAlias("b"),
      Flag.withDescription(
        "Bits per second of each stream, such as 100M, or 100M/8 to send 8 blocks at a time; 0 for no bound (default: 1 Mbit/s for UDP, else 0)"
      ),
      Flag.optional
    ),
    length: size("length", "l", "Bytes of a block or datagram (default: 128K, or what fits into a packet)"),
    parallel: Format.flag("parallel", Format.streams).pipe(
      Flag.withAlias("P"),
      Flag.withDescription("Streams at the same time (default: 1)"),
      Flag.withDefault(1)
    ),
    reverse: onOff("reverse", "The server sends").pipe(Flag.withAlias("R")),
    bidir: onOff("bidir", "Both send"),
    omit: Format.flag("omit", Format.seconds).pipe(
      Flag.withAlias("O"),
      Flag.withDescription("Seconds at the beginning that do not count (default: 0)"),
      Flag.withDefault(0)
    ),
    congestion: Format.flag("linux-congestion", Format.oneOf("algorithm", names)).pipe(
      Flag.withAlias("C"),
      Flag.withDescription(
        `Congestion control of both sides: ${
          names.join(", ")
        } (default: each its own; --congestion sets that of strata)`
      ),
      Flag.optional
    ),
    segmentSize: size("set-mss", "M", "The largest TCP segment in bytes"),
    noDelay: onOff("no-delay", "Send small blocks at once (without Nagle's algorithm)").pipe(Flag.withAlias("N")),
    window: size("window", "w", "Bytes of TCP's buffers, of both sides"),
    zeroCopy: onOff("zerocopy", "Taken and ignored: payload is never prepared anew").pipe(Flag.withAlias("Z")),
    title: Flag.String("title").pipe(
      Flag.withAlias("T"),
      Flag.withDescription("Put this in front of each line"),
      Flag.optional
    ),
    extraData: Flag.String("extra-data").pipe(Flag.withDescription("Put this into the JSON"), Flag.optional),
    getServerOutput: onOff("get-server-output", "Show the server's report too"),
    counters64: onOff("udp-counters-64bit", "Number datagrams by 64 bits"),
    repeatingPayload: onOff("repeating-payload", "Send digits instead of random bytes")
  },
  (flags) => lazily("warning", () => import("./commands/iperf3.ts"), (module, host) => module.iperf3(host, flags))
).pipe(
  Command.withDescription(
    "Measure throughput with iperf3's own protocol: against strata or any iperf3, from either side"
  ),
  Command.withExamples([
    { command: "strata iperf3 -s", description: "A server; then, elsewhere: iperf3 -c 192.0.2.2" },
    { command: "strata iperf3 -c 192.0.2.1 -R -P 4", description: "Receive over four connections" },
    { command: "strata iperf3 -c 192.0.2.1 -u -b 100M", description: "Send 100 Mbit/s of datagrams" }
  ])
)

const demo = Command.make(
  "demo",
  {
    outside: Flag.String("outside").pipe(Flag.withHidden, Flag.optional)
  },
  ({ outside }) => lazily("debug", () => import("./commands/demo.ts"), (module, host) => module.demo(host, outside))
).pipe(
  Command.withDescription(
    "Watch a host answer the Linux kernel in a network namespace of its own, or another in memory"
  )
)

/** The command line, with all its commands. */
export const strata = root.pipe(Command.withSubcommands([serve, tcps, tcpc, udps, udpc, ping, iperf3, demo]))
