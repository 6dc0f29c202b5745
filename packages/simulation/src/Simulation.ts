/**
 * Programs on networks of simulated hosts, in virtual time, from a seed.
 *
 * ```ts
 * const reply = yield* Simulation.run(
 *   Effect.gen(function*() {
 *     const network = yield* Network
 *     …
 *   }),
 *   { seed: 42 }
 * )
 * ```
 *
 * The program is written as if it ran in real time and ends in milliseconds:
 * the clock jumps to the next deadline whenever nothing can run. The same seed
 * takes the same steps and gives the same capture, byte for byte. When
 * everybody waits and there is no deadline left, the run fails at once.
 */
import * as Capture from "@strata/drivers/capture/Capture"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { HostOptions } from "./Host.ts"
import type { InvariantViolated } from "./Invariants.ts"
import * as KeptCapture from "./KeptCapture.ts"
import * as NetworkModule from "./Network.ts"
import { describe } from "./Report.ts"
import * as VirtualTime from "./VirtualTime.ts"

/** Of a run. */
export interface Options {
  /** Fixes everything: ports, initial sequence numbers, faults, the order of fibers. 1 by default. */
  readonly seed?: number | undefined
  /** Called with each block of a pcapng capture of all links, in order and at once. */
  readonly capture?: ((block: Uint8Array) => void) | undefined
  /** What every host gets that does not say otherwise. */
  readonly hosts?: HostOptions | undefined
  /**
   * Whether links pass large TCP segments on whole (`Network.Options`); as `STRATA_OFFLOAD` in the configuration says by default, and else
   * not.
   */
  readonly offload?: boolean | undefined
  /** Whether all connections and packets are watched; true by default. */
  readonly invariants?: boolean | undefined
  /**
   * Where the capture of a run that fails goes: its last 64 MiB are kept meanwhile. A file is written through the caller's
   * `FileSystem`, or by Node where there is none. Where this is not said, `STRATA_CAPTURE` in the configuration may name a file.
   */
  readonly captureFailure?: KeptCapture.Destination | undefined
}

/** Everybody is busy at one instant, and time does not move: without the simulation, the program would run hot. */
export class Livelock extends Schema.TaggedError<Livelock>()("Livelock", {
  seed: Schema.Number,
  /** Milliseconds of virtual time. */
  time: Schema.Number,
  report: Schema.String
}) {
  override get message() {
    return `time stands still, and there is always more to do, at ${
      seconds(this.time)
    } of seed ${this.seed}:\n${this.report}`
  }
}

/** Everybody waits for somebody, and no deadline is left: without the simulation, the program would hang. */
export class Deadlock extends Schema.TaggedError<Deadlock>()("Deadlock", {
  seed: Schema.Number,
  /** Milliseconds of virtual time. */
  time: Schema.Number,
  report: Schema.String
}) {
  override get message() {
    return `everybody waits and no deadline is left, at ${seconds(this.time)} of seed ${this.seed}:\n${this.report}`
  }
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(6)} s`

/**
 * Runs a program to its end in virtual time. Whatever it fails with, its seed, the virtual time and the way to replay it are
 * logged. An invariant that is violated ends it at once. Only promises that settle by themselves may be waited for: the real
 * world stands still.
 */
export const run = <A, E>(
  program: Effect.Effect<A, E, NetworkModule.Network | Scope.Scope>,
  options: Options = {}
): Effect.Effect<A, E | Deadlock | Livelock | InvariantViolated> =>
  Effect.gen(function*() {
    const { kept, network, seed, tell } = yield* settled(options)
    const time = VirtualTime.make()
    const course: Course = { network: undefined, violation: undefined }
    const onViolation = (violation: InvariantViolated) => {
      course.violation = violation
      time.interrupt()
    }
    const fiber = Effect.runForkWith(Context.merge(yield* inherited, time.context))(
      Effect.scoped(prepare(program, { ...network, onViolation }, kept, (made) => void (course.network = made)))
    )
    const exit = yield* Effect.promise(() => drive(time, fiber, seed, course)).pipe(
      Effect.onInterrupt(() => Effect.promise(() => end(time, fiber)))
    )
    if (Exit.isFailure(exit)) {
      const where = `at ${seconds(time.now())} of seed ${seed}; to replay it, set STRATA_SEED=${seed}`
      yield* tell(where, course.violation)
    }
    return yield* exit
  })

/**
 * Runs a program in real time, for what knows no other: libraries of Node over simulated links, for one. The seed fixes addresses,
 * ports and chance, but not who comes first, so that no two runs are the same; and nobody notices when all wait for each other, so give
 * it a timeout. For the rest it is as `run`, under whatever clock it is called.
 */
export const runLive = <A, E>(
  program: Effect.Effect<A, E, NetworkModule.Network | Scope.Scope>,
  options: Options = {}
): Effect.Effect<A, E | InvariantViolated> =>
  Effect.gen(function*() {
    const { kept, network, seed, tell } = yield* settled(options)
    const course: Course = { network: undefined, violation: undefined }
    const violated = Deferred.makeUnsafe<never, InvariantViolated>()
    const onViolation = (violation: InvariantViolated) => {
      course.violation = violation
      Deferred.doneUnsafe(violated, Effect.fail(violation))
    }
    const fiber = Effect.runForkWith(yield* inherited)(
      Effect.scoped(
        Effect.raceFirst(prepare(program, { ...network, onViolation }, kept, () => {}), Deferred.await(violated))
      )
    )
    const exit = yield* Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber))
    if (Exit.isFailure(exit)) yield* tell(`in real time, with seed ${seed}`, course.violation)
    // What ran on hosts has died of it, and the program perhaps of that.
    return yield* course.violation === undefined ? exit : Effect.fail(course.violation)
  })

/** What options come to together with the configuration, and how a failure is told. */
const settled = Effect.fnUntraced(function*(options: Options) {
  const seed = options.seed ?? 1
  const destination = options.captureFailure ?? (yield* captureName)
  const kept = destination === undefined ? undefined : new KeptCapture.KeptCapture()
  const tell = Effect.fnUntraced(function*(where: string, violation: InvariantViolated | undefined) {
    const lines = [
      `the simulation failed ${where}`,
      ...(kept === undefined ? [] : [yield* KeptCapture.handOver(kept, destination!, seed)]),
      ...(violation === undefined ? [] : [violation.message])
    ]
    // Where tests put a console of their own into the context, nobody would see it.
    yield* Effect.provideService(Effect.logError(lines.join("; ")), Console.Console, globalThis.console)
  })
  return {
    seed,
    kept: both(options.capture, kept),
    tell,
    network: {
      seed,
      hosts: options.hosts,
      offload: options.offload ?? (yield* isOffloading),
      invariants: options.invariants
    }
  }
})

/** What a program keeps of its caller's context: neither time nor chance, but how it is configured and what it logs. */
const inherited = Effect.map(
  Effect.context(),
  Context.pick(ConfigProvider.ConfigProvider, References.CurrentLoggers, References.MinimumLogLevel)
)

/** `STRATA_CAPTURE` */
const captureName = Config.option(Config.NonEmptyString("STRATA_CAPTURE")).pipe(
  Effect.map(Option.getOrUndefined),
  Effect.orElseSucceed(() => undefined)
)

/** `STRATA_OFFLOAD` */
const isOffloading = Effect.orElseSucceed(Config.Boolean("STRATA_OFFLOAD"), () => false)

const both = (
  write: ((block: Uint8Array) => void) | undefined,
  kept: KeptCapture.KeptCapture | undefined
): ((block: Uint8Array) => void) | undefined => {
  if (kept === undefined) return write
  return (block) => {
    write?.(block)
    kept.add(block)
  }
}

/** What is known of a run while it goes on. */
interface Course {
  network: NetworkModule.Network["Service"] | undefined
  violation: InvariantViolated | undefined
}

const prepare = <A, E>(
  program: Effect.Effect<A, E, NetworkModule.Network | Scope.Scope>,
  options: NetworkModule.Options,
  write: ((block: Uint8Array) => void) | undefined,
  onNetwork: (network: NetworkModule.Network["Service"]) => void
) =>
  Effect.gen(function*() {
    const capture = write === undefined ? undefined : yield* Capture.make(write)
    const network = yield* NetworkModule.make({ ...options, capture })
    onNetwork(network)
    return yield* Effect.provideService(program, NetworkModule.Network, network)
  }).pipe(Random.withSeed(options.seed))

const drive = async <A, E>(
  time: VirtualTime.VirtualTime,
  fiber: Fiber.Fiber<A, E>,
  seed: number,
  course: Course
): Promise<Exit.Exit<A, E | Deadlock | Livelock | InvariantViolated>> => {
  const finished = await time.drive(() => fiber.pollUnsafe() !== undefined || course.violation !== undefined)
  if (course.violation !== undefined) {
    await end(time, fiber)
    return Exit.fail(course.violation)
  }
  if (finished) return fiber.pollUnsafe()!
  const report = reportOf(course.network)
  const Reason = time.standsStill() ? Livelock : Deadlock
  const failure = new Reason({ seed, time: time.now(), report })
  await end(time, fiber)
  return Exit.fail(failure)
}

const NOT_THE_NETWORK =
  "nobody waits for the network, but perhaps for a promise of the real world (a timer, a file, a socket): the clock does not"

const reportOf = (network: NetworkModule.Network["Service"] | undefined): string => {
  const hosts = network?.hosts() ?? []
  const lines = hosts.length === 0 ? [] : [Effect.runSync(describe(network!))]
  return [...lines, ...hosts.some((host) => host.waits().length > 0) ? [] : [NOT_THE_NETWORK]].join("\n")
}

/** Interrupts a program and lets it clean up. */
const end = async (time: VirtualTime.VirtualTime, fiber: Fiber.Fiber<unknown, unknown>): Promise<void> => {
  fiber.interruptUnsafe()
  await time.drive(() => fiber.pollUnsafe() !== undefined)
}

/** Seeds 1 to `count`, or the one in `STRATA_SEED` alone, to replay what failed. */
export const seeds = (count: number): Effect.Effect<ReadonlyArray<number>, Config.ConfigError> =>
  Effect.map(
    Config.option(Config.Int("STRATA_SEED")),
    (only) => Option.isSome(only) ? [only.value] : Array.from({ length: count }, (_, index) => index + 1)
  )
