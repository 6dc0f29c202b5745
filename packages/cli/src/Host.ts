/**
 * The host a command line describes: a stack, its loopback device, one more
 * device, and the log.
 */
import { Routing } from "@strata/core/ip/Routing"
import { ArpCache } from "@strata/core/link/ArpCache"
import * as Log from "@strata/core/log/Log"
import * as NetworkStack from "@strata/core/NetworkStack"
import { byName } from "@strata/core/tcp/Algorithms"
import { TcpDefaults } from "@strata/core/tcp/TcpDefaults"
import { Trace } from "@strata/core/Trace"
import * as Address from "@strata/core/wire/Address"
import type { DeviceError } from "@strata/drivers/DeviceError"
import * as Loopback from "@strata/drivers/Loopback"
import { OnLost } from "@strata/drivers/Native"
import * as PacketSocket from "@strata/drivers/PacketSocket"
import * as Tap from "@strata/drivers/Tap"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as IpInterface from "effect/net/IpInterface"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type { DeviceName } from "./Format.ts"
import type { HostOptions, LogOptions, StackOptions } from "./Options.ts"
import * as Output from "./Output.ts"

const DEFAULT_DEVICE: DeviceName = { kind: "tap", name: "tap0" }
export const DEFAULT_ADDRESS = IpInterface.fromStringUnsafe("192.0.2.2/24") as IpInterface.Ipv4Interface
export const DEFAULT_GATEWAY = NetAddress.ipFromStringUnsafe("192.0.2.1") as NetAddress.Ipv4Address
export const DEFAULT_MAC = NetAddress.macAddressFromStringUnsafe("00:00:5e:00:53:01")

const deviceOf = (options: HostOptions): DeviceName => Option.getOrElse(options.device, () => DEFAULT_DEVICE)

const addressOf = (options: HostOptions): IpInterface.Ipv4Interface =>
  Option.getOrElse(options.address, () => DEFAULT_ADDRESS)

/** A default gateway is of no use to a host whose network it is not on. */
const gatewayOf = (options: HostOptions): NetAddress.Ipv4Address | undefined =>
  Option.getOrElse(options.gateway, () => {
    const network = IpNetwork.fromInterface(addressOf(options))
    return IpNetwork.contains(network, DEFAULT_GATEWAY) ? DEFAULT_GATEWAY : undefined
  })

const deviceLayer = (options: HostOptions) => {
  const device = deviceOf(options)
  if (device.kind === "none") return Layer.empty
  const common = {
    name: device.name,
    address: addressOf(options),
    gateway: gatewayOf(options),
    offload: Option.getOrUndefined(options.offload)
  }
  return device.kind === "tap"
    ? Tap.layer({ ...common, mac: Option.getOrElse(options.mac, () => DEFAULT_MAC) })
    : PacketSocket.layer({ ...common, mac: Option.getOrUndefined(options.mac) })
}

const print = (text: string): void => void process.stderr.write(`${text}\n`)

/**
 * The log is held back until the command does what it is for: when that fails before, there is one line to say, and it is
 * about the reason. At level `debug` nothing is held back.
 */
class HeldLog extends Context.Service<HeldLog, { readonly release: Effect.Effect<void> }>()("@strata/cli/HeldLog") {}

/** Shows what was held back, and from now on everything at once. */
export const showLog: Effect.Effect<void, never, HeldLog> = HeldLog.use((log) => log.release)

/** Says that a server is ready, below its log so far. */
export const announce = (line: string) => Effect.andThen(showLog, Output.line(line))

const makeLog = ({ hexdump, logLevel }: LogOptions) => {
  const held: Array<string> = []
  let write = logLevel === "debug" ? print : (text: string) => void held.push(text)
  return {
    layer: logLevel === "none" ? Layer.empty : Log.layer({ level: logLevel, hexdump, write: (text) => write(text) }),
    release: Effect.sync(() => {
      write = print
      held.splice(0).forEach(print)
    })
  }
}

const stackLayer = ({ congestion }: StackOptions) =>
  congestion === undefined
    ? NetworkStack.layer
    : Layer.provide(NetworkStack.layer, Layer.succeed(TcpDefaults, { congestion: byName(congestion) }))

/** A host on any devices, with the congestion control and the log that were asked for. */
export const layerOn = <E, R>(devices: Layer.Layer<never, E, R>, options: StackOptions) =>
  Layer.suspend(() => {
    const log = makeLog(options)
    return Layer.succeed(HeldLog, { release: log.release }).pipe(
      Layer.provideMerge(Layer.provideMerge(Loopback.layer, devices)),
      Layer.provideMerge(stackLayer(options)),
      // Built first, so that it tells of the stack's beginning and end too.
      Layer.provideMerge(Layer.provide(log.layer, Trace.layer))
    )
  })

/** Runs a program on the host that the options describe; it fails when the host loses its device. */
export const run = (options: HostOptions) => <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const lost = yield* Deferred.make<never, DeviceError>()
    const onLost = Layer.succeed(OnLost, (error) => Effect.asVoid(Deferred.fail(lost, error)))
    return yield* Effect.raceFirst(program, Deferred.await(lost)).pipe(
      Effect.scoped,
      Effect.provide(layerOn(Layer.provide(deviceLayer(options), onLost), options))
    )
  })

/**
 * Waits until the way to a destination is known: only a few packets can wait for a neighbour, and a program that sends
 * many at once would lose the others. Fails when the neighbour does not answer.
 */
export const findNeighbour = Effect.fnUntraced(function*(destination: NetAddress.Ipv4Address) {
  if (NetAddress.isMulticast(destination) || NetAddress.isBroadcast(destination)) return
  const routing = yield* Routing
  const arp = yield* ArpCache
  const route = routing.lookup(Address.fromIpv4(destination))
  if (route === undefined || !route.device.flags.needsArp || route.kind === "broadcast") return
  yield* arp.resolve(route.device.name, route.gateway === 0 ? destination : Address.toIpv4(route.gateway))
})

/** Its address, and the device it is on. */
export const describe = (options: HostOptions): string => {
  const device = deviceOf(options)
  return device.kind === "none" ? "127.0.0.1" : `${addressOf(options).address} (${device.kind}:${device.name})`
}
