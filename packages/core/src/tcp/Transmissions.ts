/**
 * What is on its way: the scoreboard of RFC 6675 §3, with the times that RACK (RFC 8985 §5) and delivery rates need.
 *
 * All sequence numbers from SND.UNA to SND.NXT stand in runs, ascending and adjoining. A run was sent at one time and is in one state:
 *
 * - `sent`: on its way, as far as anybody knows;
 * - `lost`: thought lost, and to be sent again;
 * - `sacked`: selectively acknowledged.
 *
 * Values share one array that only ever grows at its end: each looks at its own part, so adding a run to the latest value costs
 * nothing like a copy, and the older ones stay as they were.
 */
import type { DeliveryState } from "./RateSampling.ts"
import * as Sequence from "./Sequence.ts"

export interface Run {
  readonly left: number
  readonly right: number
  readonly state: "sent" | "lost" | "sacked"
  /** Milliseconds; the last time. */
  readonly sentAt: number
  /** How many times it was sent. */
  readonly sends: number
  /** Octets in flight when it had left, itself included. */
  readonly inFlight: number
  /** What had been delivered when it was sent last. */
  readonly mark: DeliveryState
}

export interface Transmissions {
  /** SND.UNA; the first run may begin before. */
  readonly una: number
  readonly runs: ReadonlyArray<Run>
  /** This value's runs are `[first, end)`, and `last`. */
  readonly first: number
  readonly end: number
  readonly last: Run | undefined
  /** Octets in each of these states. */
  readonly sacked: number
  readonly lost: number
  /** One past the highest octet that was ever delivered. */
  readonly highest: number
}

const NOTHING: ReadonlyArray<Run> = []

/** Nothing is on its way; all before `una` is acknowledged. */
export const empty = (una: number): Transmissions => ({
  una,
  runs: NOTHING,
  first: 0,
  end: 0,
  last: undefined,
  sacked: 0,
  lost: 0,
  highest: una
})

export const size = (all: Transmissions): number => all.end - all.first + (all.last === undefined ? 0 : 1)

/** The run at `index`, which must be there. */
export const at = (all: Transmissions, index: number): Run =>
  all.first + index < all.end ? all.runs[all.first + index]! : all.last!

/** Octets that are not acknowledged. */
export const outstanding = ({ last, una }: Transmissions): number =>
  last === undefined ? 0 : Sequence.difference(una, last.right)

/** Octets in the network (RFC 6675 §4, SetPipe). */
export const inFlight = (all: Transmissions): number => outstanding(all) - all.sacked - all.lost

/** `[left, right)` left for the first time; `left` is where the last run ends. */
export const sent = (
  all: Transmissions,
  left: number,
  right: number,
  now: number,
  mark: DeliveryState
): Transmissions => {
  const { last } = all
  const run: Run = {
    left,
    right,
    state: "sent",
    sentAt: now,
    sends: 1,
    inFlight: inFlight(all) + Sequence.difference(left, right),
    mark
  }
  if (last === undefined) return { ...all, last: run }
  if (last.sentAt === now && last.sends === 1 && last.state === "sent") {
    return withLast(all, all.runs, all.first, all.end, { ...run, left: last.left })
  }
  const { end, first, runs } = all
  // Another value has gone on from here, or much of the array is done with.
  const isOurs = runs.length === end && runs !== NOTHING && first <= 64 + (end >>> 1)
  const grown = isOurs ? runs as Array<Run> : runs.slice(first, end)
  grown.push(last)
  return withLast(all, grown, isOurs ? first : 0, grown.length, run)
}

const withLast = (
  all: Transmissions,
  runs: ReadonlyArray<Run>,
  first: number,
  end: number,
  last: Run | undefined
): Transmissions => ({
  una: all.una,
  runs,
  first,
  end,
  last,
  sacked: all.sacked,
  lost: all.lost,
  highest: all.highest
})

/** What an acknowledgement told about the runs it covers; it is filled by `acknowledge` and `select`. */
export interface News {
  /** Octets delivered for the first time. */
  delivered: number
  /** The run that was sent last among the delivered ones, and one past its last octet that was delivered. */
  newest: Run | undefined
  newestEnd: number
  /** When the latest of those was sent that were sent once only. */
  timedAt: number | undefined
  /** What was sent more than once was acknowledged cumulatively: of which sending is unknown (Karn's algorithm, RFC 6298 §3). */
  ambiguous: boolean
  /** Octets that were sent once only, and before `until`, were delivered. */
  original: boolean
  /** Octets that were sent once only were delivered after later ones (RFC 8985 §6.2, step 3). */
  reordered: boolean
  readonly until: number
}

/** `until` is the sequence number before which `original` looks. */
export const news = (until: number): News => ({
  delivered: 0,
  newest: undefined,
  newestEnd: 0,
  timedAt: undefined,
  ambiguous: false,
  original: false,
  reordered: false,
  until
})

/** Whether what was sent at `a` and ends at `aEnd` left after the other (RFC 8985 §6.2, RACK_sent_after). */
export const isLater = (a: number, aEnd: number, b: number, bEnd: number): boolean =>
  a > b || (a === b && Sequence.greaterThan(aEnd, bEnd))

/** Octets up to `end` of a run that was not selectively acknowledged have been delivered. */
const noteDelivery = (into: News, run: Run, octets: number, end: number, highest: number): void => {
  into.delivered += octets
  if (into.newest === undefined || isLater(run.sentAt, end, into.newest.sentAt, into.newestEnd)) {
    into.newest = run
    into.newestEnd = end
  }
  if (run.sends > 1) return
  if (into.timedAt === undefined || run.sentAt > into.timedAt) into.timedAt = run.sentAt
  if (Sequence.lessOrEqual(end, into.until)) into.original = true
  if (Sequence.lessThan(end, highest)) into.reordered = true
}

/** Everything before `ack` was acknowledged. */
export const acknowledge = (all: Transmissions, ack: number, into: News): Transmissions => {
  const { end, highest, runs } = all
  let { first, last, lost, sacked, una } = all
  while (last !== undefined) {
    const run: Run = first < end ? runs[first]! : last
    const right = Sequence.lessThan(run.right, ack) ? run.right : ack
    const octets = Sequence.difference(una, right)
    if (octets > 0) {
      if (run.state === "sacked") sacked -= octets
      else noteDelivery(into, run, octets, right, highest)
      if (run.sends > 1) into.ambiguous = true
      if (run.state === "lost") lost -= octets
      una = right
    }
    if (right !== run.right) break
    if (first < end) first++
    else last = undefined
  }
  return last === undefined
    ? empty(ack)
    : { una: ack, runs, first, end, last, sacked, lost, highest: Sequence.latest(highest, ack) }
}

/** Runs as `change` makes them of the parts within `[left, right)`; the rest stays. */
const rewrite = (
  all: Transmissions,
  left: number,
  right: number,
  change: (run: Run, left: number, right: number) => Run
): Transmissions => {
  const count = size(all)
  const out: Array<Run> = []
  let { lost, sacked } = all
  const add = (run: Run, octets: number): void => {
    if (run.state === "lost") lost += octets
    else if (run.state === "sacked") sacked += octets
  }
  for (let index = 0; index < count; index++) {
    const run = at(all, index)
    const begin = Sequence.latest(run.left, all.una)
    const from = Sequence.latest(begin, left)
    const to = Sequence.lessThan(run.right, right) ? run.right : right
    if (Sequence.greaterOrEqual(from, to)) {
      push(out, run)
      continue
    }
    if (begin !== from) push(out, { ...run, right: from })
    const changed = change(run, from, to)
    add(run, -Sequence.difference(from, to))
    add(changed, Sequence.difference(from, to))
    push(out, changed)
    if (to !== run.right) push(out, { ...run, left: to })
  }
  const last = out.pop()
  return { una: all.una, runs: out, first: 0, end: out.length, last, sacked, lost, highest: all.highest }
}

/** Adds a run, joined with the one before where nothing tells them apart any more. */
const push = (out: Array<Run>, run: Run): void => {
  const before = out[out.length - 1]
  if (before === undefined || before.state !== run.state || run.state === "sent" || before.right !== run.left) {
    out.push(run)
  } else if (run.state === "sacked" || before.sends === run.sends) {
    out[out.length - 1] = { ...run, left: before.left, sentAt: Math.max(before.sentAt, run.sentAt) }
  } else {
    out.push(run)
  }
}

/** The index of the run that `seq` stands in, or of the next one. */
const find = (all: Transmissions, seq: number): number => {
  let low = 0
  let high = size(all)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Sequence.greaterThan(at(all, middle).right, seq)) high = middle
    else low = middle + 1
  }
  return low
}

/** `[left, right)`, which must be on its way, was selectively acknowledged (RFC 2018 §3). */
export const select = (all: Transmissions, left: number, right: number, into: News): Transmissions => {
  const index = find(all, left)
  if (index === size(all)) return all
  const there = at(all, index)
  if (there.state === "sacked" && Sequence.greaterOrEqual(there.right, right)) return all
  const { highest } = all
  const next = rewrite(all, left, right, (run, from, to) => {
    if (run.state === "sacked") return run.left === from && run.right === to ? run : { ...run, left: from, right: to }
    noteDelivery(into, run, Sequence.difference(from, to), to, highest)
    return { ...run, left: from, right: to, state: "sacked" }
  })
  return Sequence.greaterThan(right, highest) ? { ...next, highest: right } : next
}

/** What of `[left, right)` is on its way is thought lost. */
export const lose = (all: Transmissions, left: number, right: number): Transmissions =>
  rewrite(all, left, right, (run, from, to) => ({
    ...run,
    left: from,
    right: to,
    state: run.state === "sent" ? "lost" : run.state
  }))

/** `[left, right)` was sent once more. */
export const resent = (
  all: Transmissions,
  left: number,
  right: number,
  now: number,
  mark: DeliveryState
): Transmissions => {
  const inFlightThen = inFlight(all) + Sequence.difference(left, right)
  return rewrite(all, left, right, (run, from, to) => ({
    left: from,
    right: to,
    state: "sent",
    sentAt: now,
    sends: run.sends + 1,
    inFlight: inFlightThen,
    mark
  }))
}

/** Octets on their way that were sent before, and when the first of them was sent again; `Infinity` without any. */
export const repeated = (all: Transmissions): { readonly octets: number; readonly since: number } => {
  const count = size(all)
  let octets = 0
  let since = Infinity
  for (let index = 0; index < count; index++) {
    const run = at(all, index)
    if (run.sends === 1 || run.state !== "sent") continue
    octets += Sequence.difference(Sequence.latest(run.left, all.una), run.right)
    since = Math.min(since, run.sentAt)
  }
  return { octets, since }
}

/** The lost octets that come first, or undefined. */
export const firstLost = (all: Transmissions): Run | undefined => {
  if (all.lost === 0) return undefined
  const count = size(all)
  for (let index = 0; index < count; index++) {
    const run = at(all, index)
    if (run.state === "lost") return run
  }
  return undefined
}

/** What was thought lost is on its way after all. */
export const unlose = (all: Transmissions): Transmissions =>
  all.lost === 0 ? all : rewrite(all, all.una, all.last!.right, (run, left, right) => ({
    ...run,
    left,
    right,
    state: run.state === "lost" ? "sent" : run.state
  }))

/** The peer took its selective acknowledgements back (RFC 2018 §8). */
export const renege = (all: Transmissions): Transmissions =>
  all.sacked === 0 ? all : rewrite(all, all.una, all.last!.right, (run, left, right) => ({
    ...run,
    left,
    right,
    state: run.state === "sacked" ? "lost" : run.state
  }))
