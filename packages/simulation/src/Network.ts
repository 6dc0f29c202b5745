/**
 * A network of simulated hosts, in a few lines.
 *
 * ```ts
 * const network = yield* Network
 * const client = yield* network.host("client")
 * const server = yield* network.host("server")
 * yield* network.wire(client, server, { latency: Distribution.constant(10), loss: Loss.bernoulli(0.01) })
 * yield* server.fork(TcpServer.listen({ port: 7 }).pipe(Effect.flatMap((listening) => TcpServer.serve(listening, echo))))
 * const reply = yield* client.run(ask("server", 7))
 * ```
 *
 * Every link has a network of its own, and gives its hosts addresses there;
 * hosts find each other by name. There are no routers: hosts talk over links
 * they share.
 */
import { type Middleware, wrap } from "@strata/core/device/Middleware"
import { Entropy } from "@strata/core/Entropy"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import * as Address from "@strata/core/wire/Address"
import { type Conditions, Switch, Wire } from "@strata/drivers"
import type { Capture } from "@strata/drivers/capture/Capture"
import type { PathCounters, PathServices } from "@strata/drivers/path/Path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import { lanNetwork, wireNetwork } from "./AddressPlan.ts"
import * as Carrier from "./Carrier.ts"
import * as Host from "./Host.ts"
import * as InvariantPackets from "./InvariantPackets.ts"
import { type InvariantViolated, makeWatch, type Watch } from "./Invariants.ts"
import * as InvariantStreams from "./InvariantStreams.ts"
import * as Names from "./Names.ts"
import * as Seed from "./Seed.ts"

/** Conditions of both directions, or of one. */
export interface WireOptions extends Partial<Conditions> {
  /** What differs on the way to the second host. */
  readonly forth?: Partial<Conditions> | undefined
  /** What differs on the way to the first host. */
  readonly back?: Partial<Conditions> | undefined
  /** Octets, of the devices at both ends; 1,500 by default. */
  readonly deviceMtu?: number | undefined
  /** Whether devices pass large TCP segments on whole, as `Wire.Options` says; as the network has it by default. */
  readonly offload?: boolean | undefined
}

/** A wire between two hosts. */
export interface WireLink {
  /** The address of each host on it, the first one's first. */
  readonly addresses: readonly [Ipv4Address, Ipv4Address]
  /** Changes some conditions, from the next packet on. */
  readonly set: (changes: Partial<Conditions>, direction?: "forth" | "back" | "both") => Effect.Effect<void>
  /** Nothing arrives any more, and what is under way is lost, until `heal`. */
  readonly partition: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
  /** Takes the link down at both ends, until `up`: unlike a partition, the hosts see it, and have no routes over it. */
  readonly down: Effect.Effect<void>
  readonly up: Effect.Effect<void>
  readonly counters: Effect.Effect<{ readonly forth: PathCounters; readonly back: PathCounters }>
}

/** Of a switch and the links to it. */
export interface LanOptions {
  /** Of the way from the switch to each host; ideal by default. */
  readonly conditions?: Partial<Conditions> | undefined
  readonly switch?: Omit<Switch.Options, "services"> | undefined
  readonly deviceMtu?: number | undefined
}

/** Hosts on a switch. */
export interface Lan {
  /** Puts one more host on the switch. */
  readonly join: (host: Host.Host) => Effect.Effect<Ipv4Address>
  /** Changes some conditions of the way to one host, or to all, from the next packet on. */
  readonly set: (changes: Partial<Conditions>, host?: Host.Host) => Effect.Effect<void>
  /** Only hosts of the same group hear each other, until `heal`; whoever is in no group hears nobody. */
  readonly partition: (...groups: ReadonlyArray<ReadonlyArray<Host.Host>>) => Effect.Effect<void>
  readonly heal: Effect.Effect<void>
  /** Takes one host's link to the switch down, until `up`; the host sees it, and has no routes over it. */
  readonly down: (host: Host.Host) => Effect.Effect<void>
  /** Puts it up again. */
  readonly up: (host: Host.Host) => Effect.Effect<void>
  readonly counters: Effect.Effect<Switch.SwitchCounters>
  /** Of the way from the switch to one host. */
  readonly portCounters: (host: Host.Host) => Effect.Effect<PathCounters>
}

export interface Options {
  /** Fixes all chance: ports, initial sequence numbers, faults. */
  readonly seed: number
  /** Captures all links, with an interface for each host's device, named `host:eth0`. */
  readonly capture?: Capture | undefined
  /** What every host gets that does not say otherwise. */
  readonly hosts?: Host.HostOptions | undefined
  /**
   * Whether links pass TCP segments of up to 64 KiB on whole where nothing is done to single packets. Off by default: then each packet is
   * that of a wire, with a time and an order of its own.
   */
  readonly offload?: boolean | undefined
  /** Whether all connections and packets are watched; true by default. */
  readonly invariants?: boolean | undefined
  /** Called, once and at once, from within whatever violates an invariant. */
  readonly onViolation?: ((violation: InvariantViolated) => void) | undefined
}

/** The network of a simulation: makes hosts, and links between them. */
export class Network extends Context.Service<Network, {
  readonly seed: number
  /** A new host, up and on no link. Names are those of DNS, and each is given once. */
  readonly host: (name: string, options?: Host.HostOptions) => Effect.Effect<Host.Host>
  /** All hosts, in the order in which they were made. */
  readonly hosts: () => ReadonlyArray<Host.ManagedHost>
  /** Links two hosts. */
  readonly wire: (first: Host.Host, second: Host.Host, options?: WireOptions) => Effect.Effect<WireLink>
  /** Links hosts by a switch. */
  readonly lan: (hosts: ReadonlyArray<Host.Host>, options?: LanOptions) => Effect.Effect<Lan>
  /**
   * Fails when an invariant is violated, which also ends all that runs on hosts, with the violation as a defect.
   * `Simulation.run` fails with it by itself.
   */
  readonly violation: Effect.Effect<never, InvariantViolated>
}>()("@strata/simulation/Network") {
  /** A network under whatever clock there is, such as `TestClock`. */
  static readonly layer = (options: Options): Layer.Layer<Network> => Layer.effect(Network, make(options))
}

const notThere = (host: Host.Host): never => {
  throw new Error(`${host.name} is not on this switch`)
}

/** 02:01:00:00:00:01 and up: no two devices of a network have the same. */
const FIRST_MAC = 0x0201_0000_0001

/** A network whose hosts end with the scope. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Network["Service"], never, Scope.Scope> {
  const { seed } = options
  const scope = yield* Effect.scope
  const hosts = new Map<string, Host.ManagedHost>()
  const interfaces = new Map<string, number>()
  let devices = 0
  let wires = 0
  let lans = 0

  const observed = yield* observer(options, () => hosts.values())
  const time = yield* Layer.build(Layer.fresh(Timers.layer.pipe(Layer.provideMerge(Turn.layer))))
  /** Each link has chance of its own. */
  const linkServices = (name: string): Effect.Effect<PathServices> =>
    Effect.map(Effect.scoped(Layer.build(Layer.fresh(Entropy.layerSeeded(Seed.derive(seed, name))))), (chance) => ({
      turn: Context.get(time, Turn),
      timers: Context.get(time, Timers),
      entropy: Context.get(chance, Entropy)
    }))
  const names = Names.make(() => [...hosts.values()].map((host) => [host.name, host.addresses()] as const))

  /** How the next device of a host is called, and what goes around it. */
  const nextDevice = (host: Host.Host, network: number, position: number, prefix: number, mtu: number | undefined) => {
    const meter = new InvariantPackets.Meter()
    const index = interfaces.get(host.name) ?? 0
    interfaces.set(host.name, index + 1)
    const name = `eth${index}`
    const address = Address.toIpv4(network + position)
    return {
      address,
      meter,
      plugOptions: {
        name,
        address: `${Address.formatIpv4(network + position)}/${prefix}`,
        mac: Address.toMac(FIRST_MAC + devices++),
        mtu: mtu ?? 1500
      },
      captured: (layer: Host.Plug["layer"]): Host.Plug["layer"] => {
        const counted = observed.watch === undefined ? layer : wrap(counting(observed.watch, meter))(layer)
        return options.capture === undefined
          ? counted
          : wrap(options.capture.middleware(`${host.name}:${name}`))(counted)
      }
    }
  }
  const managed = (host: Host.Host): Host.ManagedHost => {
    const found = hosts.get(host.name)
    if (found === undefined || found !== host) throw new Error(`${host.name} is not a host of this network`)
    return found
  }

  const wire: Network["Service"]["wire"] = Effect.fnUntraced(function*(first, second, wireOptions = {}) {
    const { back, deviceMtu, forth, offload = options.offload, ...conditions } = wireOptions
    const number = wires++
    const network = wireNetwork(number)
    const self = Wire.make({
      conditions,
      offload,
      towards: { left: { ...back }, right: { ...forth } },
      services: yield* linkServices(`wire ${number}`)
    })
    /** Why nothing passes: a partition, or a host that is cut off. */
    const blockedBy = new Set<unknown>()
    const block = (reason: unknown, blocked: boolean) => {
      if (blocked) blockedBy.add(reason)
      else blockedBy.delete(reason)
      self.set("both", { blackhole: blockedBy.size > 0 })
      if (blocked) self.cut()
    }
    const plug = (host: Host.Host, end: Wire.End, position: number) => {
      const { address, captured, meter, plugOptions } = nextDevice(host, network, position, 24, deviceMtu)
      const { down, layer, up } = Carrier.make(managed(host), plugOptions.name, captured(Wire.layer(end, plugOptions)))
      return Effect.as(
        managed(host).plug({ address, layer, block: (blocked) => block(host, blocked) }),
        { address, meter, down, up }
      )
    }
    const left = yield* plug(first, self.left, 1)
    const right = yield* plug(second, self.right, 2)
    observed.audit(`the wire from ${first.name} to ${second.name}`, () => {
      const counters = self.counters()
      const unplugged = self.unplugged()
      return InvariantPackets.wire(left.meter, counters.right, unplugged.left, right.meter) ??
        InvariantPackets.wire(right.meter, counters.left, unplugged.right, left.meter)
    })
    return {
      addresses: [left.address, right.address],
      set: (changes, direction = "both") =>
        Effect.sync(() => self.set(direction === "both" ? "both" : direction === "forth" ? "right" : "left", changes)),
      partition: Effect.sync(() => block("partition", true)),
      heal: Effect.sync(() => block("partition", false)),
      down: Effect.andThen(left.down, right.down),
      up: Effect.andThen(left.up, right.up),
      counters: Effect.sync(() => {
        const counters = self.counters()
        return { forth: counters.right, back: counters.left }
      })
    }
  })

  const lan: Network["Service"]["lan"] = Effect.fnUntraced(function*(members, lanOptions = {}) {
    const number = lans++
    const network = lanNetwork(number)
    const self = Switch.make({
      offload: options.offload,
      ...lanOptions.switch,
      services: yield* linkServices(`lan ${number}`)
    })
    const ports = new Map<Host.Host, Switch.Port>()
    const meters = new Map<Switch.Port, InvariantPackets.Meter>()
    const cutOff = new Set<number>()
    let groups: ReadonlyMap<number, number> | undefined

    self.restrict((from, to) =>
      !cutOff.has(from) && !cutOff.has(to) &&
      (groups === undefined || (groups.has(from) && groups.get(from) === groups.get(to)))
    )
    const portOf = (host: Host.Host): Switch.Port => ports.get(host) ?? notThere(host)
    const carriers = new Map<Host.Host, Carrier.Carrier>()
    const carrierOf = (host: Host.Host) => carriers.get(host) ?? notThere(host)
    const join = Effect.fnUntraced(function*(host: Host.Host) {
      if (ports.has(host)) throw new Error(`${host.name} is on this switch already`)
      const port = self.port({ conditions: lanOptions.conditions })
      ports.set(host, port)
      const { address, captured, meter, plugOptions } = nextDevice(
        host,
        network,
        port.number + 1,
        16,
        lanOptions.deviceMtu
      )
      meters.set(port, meter)
      const own = Carrier.make(managed(host), plugOptions.name, captured(Switch.layer(port, plugOptions)))
      carriers.set(host, own)
      yield* managed(host).plug({
        address,
        layer: own.layer,
        block: (blocked) => {
          if (!blocked) return void cutOff.delete(port.number)
          cutOff.add(port.number)
          port.cut()
        }
      })
      return address
    })
    yield* Effect.forEach(members, join, { discard: true })
    observed.audit(`lan ${number}`, () =>
      InvariantPackets.lan(
        self.counters(),
        [...meters].map(([port, meter]) => ({ meter, counters: port.counters() }))
      ))
    return {
      join,
      set: (changes, host) =>
        Effect.sync(() => {
          for (const [member, port] of ports) if (host === undefined || host === member) port.set(changes)
        }),
      partition: (...parts) =>
        Effect.sync(() => {
          groups = new Map(parts.flatMap((part, group) => part.map((host) => [portOf(host).number, group] as const)))
        }),
      heal: Effect.sync(() => {
        groups = undefined
      }),
      down: (host) => Effect.suspend(() => carrierOf(host).down),
      up: (host) => Effect.suspend(() => carrierOf(host).up),
      counters: Effect.sync(self.counters),
      portCounters: (host) => Effect.sync(() => portOf(host).counters())
    }
  })

  return Network.of({
    seed,
    host: Effect.fnUntraced(function*(name, hostOptions) {
      if (!Names.isValid(name)) throw new Error(`${name} cannot be the name of a host`)
      if (hosts.has(name)) throw new Error(`there is already a host ${name}`)
      const host = yield* Effect.provideService(
        Host.make(name, seed, names, { ...options.hosts, ...hostOptions }, observed.observer),
        Scope.Scope,
        scope
      )
      hosts.set(name, host)
      return host
    }),
    hosts: () => [...hosts.values()],
    wire,
    lan,
    violation: observed.violation
  })
})

/** Who watches a network, and what follows from a violation. */
const observer = Effect.fnUntraced(function*(options: Options, hosts: () => Iterable<Host.ManagedHost>) {
  if (options.invariants === false) return { violation: Effect.never, audit: () => {} }
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const start = now()
  const violated = yield* Deferred.make<never, InvariantViolated>()
  const watch = makeWatch({
    seed: options.seed,
    now: () => now() - start,
    onViolation: (violation) => {
      options.onViolation?.(violation)
      Deferred.doneUnsafe(violated, Effect.fail(violation))
    }
  })
  const links: Array<{ readonly where: string; readonly imbalance: () => InvariantPackets.Imbalance }> = []
  // When all hosts are gone.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      for (const { imbalance, where } of links) {
        const what = imbalance()
        if (what !== undefined) watch.report({ invariant: "accounting", where, what })
      }
      const violation = watch.violation()
      return violation === undefined ? Effect.void : Effect.die(violation)
    })
  )
  // Not within whatever is going on when it happens.
  yield* Deferred.await(violated).pipe(
    Effect.catch((violation) =>
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          for (const host of hosts()) host.fail(violation)
        })
      )
    ),
    Effect.forkScoped
  )
  return {
    watch,
    observer: { watch, streams: InvariantStreams.make(watch) },
    violation: Deferred.await(violated),
    audit: (where: string, imbalance: () => InvariantPackets.Imbalance) => void links.push({ where, imbalance })
  }
})

/** Numbers packets as a capture does, and reads the meter of a device. */
const counting = (watch: Watch, meter: InvariantPackets.Meter): Middleware => (device) =>
  Effect.succeed({
    device: {
      ...device,
      transmit: (packet) => {
        watch.packet()
        return device.transmit(packet)
      }
    },
    attached: (attachment) => {
      meter.add(attachment.device)
      return {
        ...attachment,
        input: (packet) => {
          watch.packet()
          attachment.input(packet)
        }
      }
    }
  })
