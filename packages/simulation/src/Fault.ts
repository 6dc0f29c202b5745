/**
 * Faults as events that a person can name: *lose packet 4 from a to b*, *crash b
 * at 0.5 s and start it 2 s later*. A list of them is all that goes wrong in a
 * scenario, or, installed by hand, in any test of a `Topology`.
 *
 * Packets are counted from 1 on each way, whatever they are, since the faults
 * were installed. Numbers of ways, links and hosts are taken modulo how many
 * there are. Times are in milliseconds of virtual time since then.
 */
import { type Conditions, Faults } from "@strata/drivers"
import type { Decoded } from "@strata/drivers/path/Decoded"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { integer, oneOf, pick } from "./Arbitraries.ts"
import type { Stage } from "./Topology.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Packet = { way: Count, packet: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)) }
const Milliseconds = Schema.Number.check(Schema.isGreaterThanOrEqualTo(0))
const During = { at: Milliseconds, milliseconds: Milliseconds }

/** A packet does not arrive. */
export const Lose = Schema.TaggedStruct("Lose", Packet)

/** A packet arrives twice. */
export const Duplicate = Schema.TaggedStruct("Duplicate", Packet)
/** Flips a bit behind the Ethernet header. Frames of ARP, which has no checksum, are left alone: a link's own would find it. */
export const Corrupt = Schema.TaggedStruct("Corrupt", { ...Packet, bit: Count })

/** A packet takes longer. */
export const Delay = Schema.TaggedStruct("Delay", { ...Packet, milliseconds: Milliseconds })
/** Nothing that is sent over a link arrives, either way, for a while. */
export const Partition = Schema.TaggedStruct("Partition", { link: Count, ...During })
/** Frames with more than `mtu` octets of payload are lost without a word for a while. */
export const Narrow = Schema.TaggedStruct("Narrow", { way: Count, mtu: Count, ...During })
/** A host loses all its state, and is started again after a while. */
export const Crash = Schema.TaggedStruct("Crash", { host: Count, ...During })

/** Anything that can go wrong in a scenario. */
export const Fault = Schema.Union([Lose, Duplicate, Corrupt, Delay, Partition, Narrow, Crash])
export type Fault = typeof Fault.Type
type PacketFault = Extract<Fault, { readonly packet: number }>

/** Whether a fault is about one packet. */
export const isOfPacket = (fault: Fault): fault is PacketFault => "packet" in fault

const anyPacket = { way: integer(0, 11), packet: oneOf(integer(1, 12), integer(1, 48)) }
const anyTime = {
  at: oneOf(pick(0), integer(0, 50), integer(0, 1500)),
  milliseconds: pick(100, 400, 1000, 3000, 10_000)
}

const tagged = <const Tag extends Fault["_tag"], A>(
  tag: Tag,
  fields: { readonly [K in keyof A]: Arbitrary.Arbitrary<A[K]> }
): Arbitrary.Arbitrary<A & { readonly _tag: Tag }> =>
  Arbitrary.map(Arbitrary.all(fields as Record<string, Arbitrary.Arbitrary<unknown>>), (drawn) => ({
    _tag: tag,
    ...drawn as A
  }))

const lose = tagged("Lose", anyPacket)
const crash = tagged("Crash", { host: integer(0, 3), ...anyTime })

/** Faults of all kinds, losses more often than others, but no crashes. */
export const arbitrary: Arbitrary.Arbitrary<Fault> = oneOf<Fault>(
  lose,
  lose,
  lose,
  tagged("Duplicate", anyPacket),
  tagged("Delay", { ...anyPacket, milliseconds: pick(5, 30, 200, 900) }),
  tagged("Corrupt", { ...anyPacket, bit: integer(0, 511) }),
  tagged("Partition", { link: integer(0, 5), ...anyTime }),
  tagged("Narrow", { way: integer(0, 11), mtu: pick(300, 600, 1000), ...anyTime })
)

/** The same, and crashes. */
export const withCrashes: Arbitrary.Arbitrary<Fault> = oneOf<Fault>(arbitrary, arbitrary, arbitrary, arbitrary, crash)

/** Within how many packets the faults of a burst are. */
const BURST = 8

/** The same faults, those of packets close to each other on one way: troubles seldom come singly. */
export const together = (faults: ReadonlyArray<Fault>): ReadonlyArray<Fault> => {
  const first = faults.find(isOfPacket)
  return first === undefined
    ? faults
    : faults.map((fault) =>
      isOfPacket(fault) && fault !== first
        ? { ...fault, way: first.way, packet: first.packet + fault.packet % BURST }
        : fault
    )
}

/** Who looks on. */
export interface Watch {
  /** A fault, by its place in the list, did something to a packet. */
  readonly hit: (fault: number, way: number, packet: number) => void
  /** Called with each packet. */
  readonly packet?: ((way: number, number: number, packet: Decoded) => void) | undefined
}

/** Does the faults to a network, from now on. */
export const install = (
  faults: ReadonlyArray<Fault>,
  stage: Stage,
  watch?: Watch
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const started = clock.monotonicTimeNanosUnsafe()
    const now = () => Number(clock.monotonicTimeNanosUnsafe() - started) / 1e6
    for (const [index, way] of stage.ways.entries()) {
      yield* way.set({ faults: onWay(faults, stage, index, now, watch) })
    }
    for (const fault of faults) {
      if (fault._tag !== "Crash") continue
      const host = stage.hosts[fault.host % stage.hosts.length]!
      yield* Effect.forkScoped(
        Effect.sleep(fault.at).pipe(
          Effect.andThen(host.crash),
          Effect.andThen(Effect.sleep(fault.milliseconds)),
          Effect.andThen(host.start)
        )
      )
    }
  })

/** What the faults do on one way. It counts by itself: a path begins anew with each start of the host at its end. */
const onWay = (
  faults: ReadonlyArray<Fault>,
  stage: Stage,
  way: number,
  now: () => number,
  watch: Watch | undefined
): Conditions["faults"] => {
  let number = 0
  return (_, decoded) => {
    number++
    watch?.packet?.(way, number, decoded())
    const done: Array<Faults.Fault> = []
    for (const [index, fault] of faults.entries()) {
      const what = doneTo(fault, stage, way, number, now, decoded)
      if (what === undefined) continue
      done.push(what)
      watch?.hit(index, way, number)
    }
    return done
  }
}

/** What a fault does to a packet, or undefined. */
const doneTo = (
  fault: Fault,
  { links, ways }: Stage,
  way: number,
  number: number,
  now: () => number,
  decoded: () => Decoded
): Faults.Fault | undefined => {
  if (isOfPacket(fault)) {
    return fault.packet === number && fault.way % ways.length === way ? onPath(fault, decoded) : undefined
  }
  switch (fault._tag) {
    case "Partition":
      return isDuring(fault, now()) && links[fault.link % links.length]!.carries(way, decoded) ? Faults.lose : undefined
    case "Narrow":
      return fault.way % ways.length === way && isDuring(fault, now()) && decoded().length - HEADER > fault.mtu
        ? Faults.lose
        : undefined
    case "Crash":
      return undefined
  }
}

/** Octets of the Ethernet header. */
const HEADER = 14

const isDuring = ({ at, milliseconds }: { readonly at: number; readonly milliseconds: number }, now: number): boolean =>
  now >= at && now < at + milliseconds

const onPath = (fault: PacketFault, decoded: () => Decoded): Faults.Fault | undefined => {
  switch (fault._tag) {
    case "Lose":
      return Faults.lose
    case "Duplicate":
      return Faults.duplicate
    case "Corrupt":
      return decoded().ipv4 === undefined ? undefined : Faults.corrupt(fault.bit)
    case "Delay":
      return Faults.delay(fault.milliseconds)
  }
}

const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`
const span = ({ at, milliseconds }: { readonly at: number; readonly milliseconds: number }): string =>
  `from ${seconds(at)} to ${seconds(at + milliseconds)}`

/** In words. `hit` says what the packet was. */
export const format = (
  fault: Fault,
  stage: Stage,
  hit: (way: number, number: number) => string | undefined = () => undefined
): string => {
  if (!isOfPacket(fault)) return formatTimed(fault, stage)
  const way = fault.way % stage.ways.length
  const what = hit(way, fault.packet)
  const named = `packet ${fault.packet} ${stage.ways[way]!.name}${what === undefined ? "" : ` (${what})`}`
  switch (fault._tag) {
    case "Lose":
      return `lose ${named}`
    case "Duplicate":
      return `duplicate ${named}`
    case "Corrupt":
      return `flip bit ${fault.bit} of ${named}`
    case "Delay":
      return `delay by ${fault.milliseconds} ms ${named}`
  }
}

const formatTimed = (fault: Exclude<Fault, PacketFault>, { hosts, links, ways }: Stage): string => {
  switch (fault._tag) {
    case "Partition":
      return `let nothing pass between ${links[fault.link % links.length]!.name} ${span(fault)}`
    case "Narrow":
      return `lose what has more than ${fault.mtu} octets ${ways[fault.way % ways.length]!.name} ${span(fault)}`
    case "Crash":
      return `crash ${hosts[fault.host % hosts.length]!.name} at ${seconds(fault.at)} and start it ${
        seconds(fault.milliseconds)
      } later`
  }
}

/** Packets that a fault did something to: the way and the number. */
export type Hits = ReadonlyArray<readonly [way: number, packet: number]>

/** Losses that are tried in place of a fault that hit more packets. */
const FIRST = 6
const LAST = 2

/** What may do in place of a fault: losses of packets that it hit, or less of it. */
export const simpler = (fault: Fault, hits: Hits): ReadonlyArray<ReadonlyArray<Fault>> => {
  if (fault._tag === "Lose") return fault.packet === 1 ? [] : [[{ ...fault, packet: fault.packet - 1 }]]
  const losses = hits.map(([way, packet]): Fault => ({ _tag: "Lose", way, packet }))
  const few = losses.filter((_, index) => index < FIRST || index >= losses.length - LAST).map((loss) => [loss])
  if (isOfPacket(fault)) return fault.packet === 1 ? few : [...few, [{ ...fault, packet: fault.packet - 1 }]]
  const shorter: ReadonlyArray<ReadonlyArray<Fault>> = fault.milliseconds > 100
    ? [[{ ...fault, milliseconds: Math.round(fault.milliseconds / 3) }]]
    : []
  return [...few, ...losses.length === 2 ? [losses] : [], ...shorter]
}
