/**
 * A simulated host: a whole stack, made of the same Layers as a real one, that
 * can be started, stopped, crashed and cut off.
 */
import {
  CongestionControl,
  Devices,
  Entropy,
  Icmp,
  Igmp,
  NetworkStack,
  Statistics,
  Tcp,
  TcpMachine,
  Udp
} from "@strata/core"
import type { DevicesError } from "@strata/core/device/Devices"
import { type Middleware, wrap } from "@strata/core/device/Middleware"
import type { RoutingError } from "@strata/core/ip/Routing"
import { Loopback } from "@strata/drivers"
import type { DeviceError } from "@strata/drivers"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { AddressResolver } from "effect/net/AddressResolver"
import type { Dns } from "effect/net/Dns"
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as InvariantPackets from "./InvariantPackets.ts"
import type { InvariantViolated } from "./Invariants.ts"
import * as Observation from "./Observation.ts"
import * as Seed from "./Seed.ts"

/** What runs on a host finds. */
export type HostServices = Layer.Success<typeof NetworkStack.protocols> | Entropy | Dns | AddressResolver

/** What a host is made of, and what runs on it. */
export interface HostOptions {
  /** Runs whenever the host starts, until it ends by itself or with the host. */
  readonly boot?: Effect.Effect<unknown, unknown, HostServices | Scope.Scope> | undefined
  /** TCP's machine; strata's own by default. */
  readonly machine?: Layer.Layer<TcpMachine> | undefined
  /** Strata's own by default. */
  readonly congestion?: Layer.Layer<CongestionControl> | undefined
  /** Everything up to IPv4; `NetworkStack.network` by default. */
  readonly network?: typeof NetworkStack.network | undefined
  /** Goes around each device on a link, between the stack and whatever else is around it. */
  readonly middleware?: Middleware<HostServices> | undefined
}

/** The host went down while something ran on it, or was down already. */
export class HostDown extends Schema.TaggedError<HostDown>()("HostDown", { host: Schema.String }) {
  override get message() {
    return `the host ${this.host} is down`
  }
}

/** A simulated host, as a test sees it. */
export interface Host {
  readonly name: string
  /** Of all its interfaces, in the order in which they were linked. */
  readonly addresses: () => ReadonlyArray<Ipv4Address>
  /** Whether it runs. */
  readonly isUp: () => boolean
  /**
   * Runs a program on the host and waits for it. Fails with `HostDown` when the host is, or goes, down; the program is
   * interrupted then, and whatever it had open is gone without a word to its peers.
   */
  readonly run: <A, E, R>(
    program: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | HostDown, Exclude<R, HostServices | Scope.Scope>>
  /** The same in the background. It belongs to the host, not to whoever starts it. */
  readonly fork: <A, E, R>(
    program: Effect.Effect<A, E, R>
  ) => Effect.Effect<Fiber.Fiber<A, E | HostDown>, HostDown, Exclude<R, HostServices | Scope.Scope>>
  /** Hosts are up when they are made; starting one that is up does nothing. */
  readonly start: Effect.Effect<void>
  /** An orderly shutdown: programs are interrupted, connections closed. */
  readonly stop: Effect.Effect<void>
  /** All state is gone at once; no FIN, no reset. */
  readonly crash: Effect.Effect<void>
  /** A crash and a start. */
  readonly restart: Effect.Effect<void>
  /** Nothing arrives at the host and nothing leaves it, until `reconnect`. What is under way is lost. */
  readonly cutOff: Effect.Effect<void>
  readonly reconnect: Effect.Effect<void>
}

/** How a host is put on a link, each time it starts. */
export interface Plug {
  readonly address: Ipv4Address
  readonly layer: Layer.Layer<never, DeviceError | DevicesError | RoutingError, HostServices>
  /** Lets nothing through, or everything again. */
  readonly block: (blocked: boolean) => void
}

/** What the network does with its hosts. */
export interface ManagedHost extends Host {
  /** Puts the host on a link, now and after each start. */
  readonly plug: (plug: Plug) => Effect.Effect<void>
  /** The stack's services while the host is up. */
  readonly context: () => Context.Context<HostServices> | undefined
  /** What its programs wait for now. */
  readonly waits: () => ReadonlyArray<string>
  /** How many programs run on it. */
  readonly running: () => number
  /** Why `boot` failed in this life, if it did. */
  readonly bootFailure: () => string | undefined
  /** Ends everything that runs on the host, for that reason, and leaves it as it is. */
  readonly fail: (reason: InvariantViolated) => void
}

/** One life of a host, from a start to its end. */
interface Life {
  readonly observed: Observation.Observed
  readonly context: Context.Context<HostServices>
  /** Of the stack. */
  readonly scope: Scope.Closeable
  /** Of its devices: closed first, so that a crashed host says nothing more. */
  readonly devices: Scope.Closeable
  /** Of the programs that run on it. */
  readonly programs: Scope.Closeable
  readonly over: Deferred.Deferred<never, HostDown>
  running: number
  bootFailure: string | undefined
}

const stackLayer = (options: HostOptions, seed: number, { icmp, machine, tcp, udp }: Observation.Observed) =>
  Layer.mergeAll(icmp(Icmp.layer), Igmp.layer, udp(Udp.layer), tcp(Tcp.layer)).pipe(
    Layer.provideMerge(
      Layer.mergeAll(machine(options.machine ?? TcpMachine.layer), options.congestion ?? CongestionControl.layer)
    ),
    Layer.provideMerge(options.network ?? NetworkStack.network),
    Layer.provideMerge(Entropy.layerSeeded(seed))
  )

const build = <A, E, R>(layer: Layer.Layer<A, E, R>, scope: Scope.Scope) =>
  Effect.flatMap(Layer.makeMemoMap, (memo) => Layer.buildWithMemoMap(layer, memo, scope))

const close = (scope: Scope.Closeable) => Scope.close(scope, Exit.void)

export const make = Effect.fnUntraced(function*(
  name: string,
  seed: number,
  names: Context.Context<Dns | AddressResolver>,
  options: HostOptions,
  observer: Observation.Observer | undefined
): Effect.fn.Return<ManagedHost, never, Scope.Scope> {
  const plugs: Array<Plug> = []
  let life: Life | undefined
  let lives = 0

  const attach = (plug: Plug, current: Life) =>
    build(
      options.middleware === undefined ? plug.layer : wrap(options.middleware)(plug.layer),
      current.devices
    ).pipe(Effect.provideContext(current.context), Effect.orDie)

  const down = Effect.suspend(() => Effect.fail(new HostDown({ host: name })))
  const alive = Effect.suspend(() => life === undefined ? down : Effect.succeed(life))

  /** A program as it runs in one life of the host. */
  const living = <A, E, R>(program: Effect.Effect<A, E, R>, current: Life) =>
    Effect.acquireUseRelease(
      Effect.sync(() => void current.running++),
      () => Effect.raceFirst(Effect.scoped(program), Deferred.await(current.over)),
      () => Effect.sync(() => void current.running--)
    ).pipe(
      Effect.updateContext((caller: Context.Context<Exclude<R, HostServices | Scope.Scope>>) =>
        Context.merge(caller, current.context) as Context.Context<Exclude<R, Scope.Scope>>
      )
    )
  const run: Host["run"] = (program) => Effect.flatMap(alive, (current) => living(program, current))
  const fork: Host["fork"] = (program) =>
    Effect.flatMap(alive, (current) => Effect.forkIn(living(program, current), current.programs))

  const start = Effect.suspend(() => {
    if (life !== undefined) return Effect.void
    return Effect.gen(function*() {
      const [scope, devices, programs] = [yield* Scope.make(), yield* Scope.make(), yield* Scope.make()]
      const observed = Observation.make(name, observer)
      const stack = yield* build(stackLayer(options, Seed.derive(seed, `${name}/${lives++}`), observed), scope)
      const current: Life = {
        observed,
        context: Context.merge(stack, names),
        scope,
        devices,
        programs,
        over: yield* Deferred.make<never, HostDown>(),
        running: 0,
        bootFailure: undefined
      }
      life = current
      yield* build(Loopback.layer, devices).pipe(Effect.provideContext(current.context), Effect.orDie)
      yield* Effect.forEach(plugs, (plug) => attach(plug, current), { discard: true })
      if (options.boot !== undefined) yield* Effect.asVoid(fork(telling(options.boot, current))).pipe(Effect.orDie)
    })
  })

  /** Nobody waits for `boot`, so its failure is told in the log, and by the report of who waits for what. */
  const telling = <A, E, R>(boot: Effect.Effect<A, E, R>, current: Life) =>
    Effect.tapCause(boot, (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      const error = Cause.squash(cause)
      current.bootFailure = error instanceof Error ? error.message : String(error)
      return Effect.logWarning(`the boot of ${name} failed`, cause)
    })

  const audit = (current: Life) =>
    observer === undefined || options.network !== undefined
      ? Effect.void
      : Effect.map(Context.get(current.context, Statistics).snapshot, (counters) => {
        const what = InvariantPackets.host(counters, Context.get(current.context, Devices).all())
        if (what !== undefined) observer.watch.report({ invariant: "accounting", where: name, what })
      })

  /** Ends the current life. */
  const end = (finish: (current: Life) => Effect.Effect<unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const current = life
      life = undefined
      return current === undefined ? Effect.void : Effect.asVoid(Effect.andThen(audit(current), finish(current)))
    })
  const over = (current: Life) => Deferred.fail(current.over, new HostDown({ host: name }))

  const stop = end((current) =>
    close(current.programs).pipe(
      Effect.andThen(close(current.scope)),
      Effect.andThen(close(current.devices)),
      Effect.andThen(over(current)),
      Effect.andThen(Effect.sync(current.observed.over))
    )
  )
  // With its devices down first, the stack has nobody to say goodbye to.
  const crash = end((current) =>
    Effect.gen(function*() {
      const devices = Context.get(current.context, Devices)
      yield* Effect.forEach(devices.all(), (device) => Effect.orDie(devices.close(device.name)), { discard: true })
      yield* over(current)
      yield* close(current.programs)
      yield* close(current.devices)
      yield* close(current.scope)
      current.observed.over()
    })
  )
  const block = (blocked: boolean) => Effect.sync(() => plugs.forEach((plug) => plug.block(blocked)))

  yield* Effect.addFinalizer(() => crash)
  yield* start
  return {
    name,
    addresses: () => plugs.map((plug) => plug.address),
    isUp: () => life !== undefined,
    run,
    fork,
    start,
    stop,
    crash,
    restart: Effect.andThen(crash, start),
    cutOff: block(true),
    reconnect: block(false),
    plug: (plug) =>
      Effect.suspend(() => {
        plugs.push(plug)
        return life === undefined ? Effect.void : attach(plug, life)
      }),
    context: () => life?.context,
    waits: () => life?.observed.waits.all() ?? [],
    running: () => life?.running ?? 0,
    bootFailure: () => life?.bootFailure,
    fail: (reason) => {
      if (life !== undefined) Deferred.doneUnsafe(life.over, Effect.die(reason))
    }
  }
})
