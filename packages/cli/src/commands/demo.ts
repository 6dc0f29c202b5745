/**
 * A host to watch: it answers the kernel's ping, TCP and UDP in a network
 * namespace of its own, or, where that cannot be had, another host's in memory.
 */
import { Routing } from "@strata/core/ip/Routing"
import * as Tap from "@strata/drivers/Tap"
import * as Wire from "@strata/drivers/Wire"
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as IpInterface from "effect/net/IpInterface"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { exchange } from "../demo/Exchange.ts"
import * as KernelPeer from "../demo/KernelPeer.ts"
import * as Namespace from "../demo/Namespace.ts"
import * as Programs from "../demo/Programs.ts"
import * as StackPeer from "../demo/StackPeer.ts"
import { ExitCode, Failure } from "../Exit.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"

const HOST = Host.DEFAULT_ADDRESS
const PEER = IpInterface.makeUnsafe(Host.DEFAULT_GATEWAY, HOST.prefixLength)
const ECHO = 7

/** What the exchange over TAP needs cannot be had here; the message says what and why. */
class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", { message: Schema.String }) {}

const unavailable = (error: { readonly message: string }) => new Unavailable({ message: error.message })

/** The demo brings its own device and addresses. */
const optionsFor = (given: HostOptions): Effect.Effect<HostOptions, Failure> => {
  const own: ReadonlyArray<readonly [string, Option.Option<unknown>]> = [
    ["device", given.device],
    ["address", given.address],
    ["gateway", given.gateway],
    ["mac", given.mac]
  ]
  const refused = own.find(([, value]) => Option.isSome(value))
  return refused === undefined
    ? Effect.succeed(given)
    : Effect.fail(new Failure({ message: `the demo brings its own device and addresses; leave out --${refused[0]}` }))
}

const offerEcho = Effect.andThen(SimpleServices.echo({ port: ECHO }), SimpleServices.echoUdp({ port: ECHO }))

/** Once the other end is up, so that the announcement of the address is heard. */
const addAddress = (device: string, address: IpInterface.Ipv4Interface) =>
  Routing.use((routing) => routing.addAddress(device, address))

const overTap = Effect.fnUntraced(function*(options: HostOptions) {
  const host = yield* Effect.gen(function*() {
    yield* Namespace.silenceIpv6
    const built = yield* Layer.build(Host.layerOn(Tap.layer({ name: "tap0", mac: Host.DEFAULT_MAC }), options))
    yield* Programs.run("ip", ["address", "add", IpInterface.format(PEER), "dev", "tap0"])
    yield* Programs.run("ip", ["link", "set", "tap0", "up"])
    yield* Effect.provideContext(Effect.andThen(addAddress("tap0", HOST), Host.showLog), built)
    return built
  }).pipe(Effect.mapError(unavailable))
  yield* Output.line(
    `A host of strata is ${HOST.address} on the device tap0, in a network namespace of its own; ` +
      `the kernel is ${PEER.address}.`
  )
  const peer = yield* KernelPeer.make(NetAddress.formatIp(HOST.address), ECHO)
  yield* offerEcho.pipe(Effect.andThen(exchange(peer, "tap0")), Effect.provideContext(host))
}, Effect.scoped)

const inMemory = Effect.fnUntraced(function*(options: HostOptions, reasons: ReadonlyArray<string>) {
  for (const reason of reasons) yield* Output.line(`Not against the kernel: ${reason}`)
  yield* Output.line(
    `So two hosts of strata talk over a wire in memory: ${HOST.address}, whose log this is, and ${PEER.address}.`
  )
  const wire = Wire.make()
  const silent = { logLevel: "none", hexdump: false } as const
  const host = yield* Layer.build(Host.layerOn(Wire.layer(wire.left, { mac: Host.DEFAULT_MAC }), options))
  const other = yield* Layer.build(Layer.fresh(Host.layerOn(Wire.layer(wire.right), silent)))
  yield* Effect.provideContext(addAddress("eth0", PEER), other)
  yield* Effect.provideContext(Effect.andThen(addAddress("eth0", HOST), Host.showLog), host)
  const peer = yield* Effect.provideContext(StackPeer.make(HOST.address, ECHO), other)
  yield* offerEcho.pipe(Effect.andThen(exchange(peer, "eth0")), Effect.provideContext(host))
}, Effect.scoped)

/** In the namespace: ends early when the process outside, which holds our stdin open, is gone. */
const inside = Effect.fnUntraced(function*(options: HostOptions, outside: string) {
  if (Namespace.current() === outside) return yield* new Failure({ message: "--outside is for the demo's own use" })
  const stdio = yield* Stdio.Stdio
  const alone = Effect.ignore(Stream.runDrain(stdio.stdin))
  yield* overTap(options).pipe(
    Effect.catchTag("Unavailable", (error) => inMemory(options, [error.message])),
    Effect.raceFirst(alone)
  )
})

/** What the demo passes on to itself in a namespace. */
const flagsOf = (options: HostOptions): ReadonlyArray<string> => [
  "--log-level",
  options.logLevel,
  ...options.hexdump ? ["--hexdump"] : [],
  ...options.congestion === undefined ? [] : ["--congestion", options.congestion]
]

/** `outside` is the name of the namespace this process was started from, once it is inside another. */
export const demo = Effect.fnUntraced(function*(given: HostOptions, outside: Option.Option<string>) {
  const options = yield* optionsFor(given)
  if (Option.isSome(outside)) return yield* inside(options, outside.value)
  const way = yield* Namespace.findWay
  if (way._tag === "Impossible") return yield* inMemory(options, way.reasons)
  const code = yield* Namespace.runInside(way.flags, ["demo", "--outside", Namespace.current(), ...flagsOf(options)])
  if (code !== 0) return yield* new ExitCode({ code })
})
