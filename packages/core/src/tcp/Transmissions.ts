/**
 * What is on its way: the scoreboard of RFC 6675 §3, with the times that RACK (RFC 8985 §5) and delivery rates need.
 *
 * All sequence numbers from SND.UNA to SND.NXT stand in runs, ascending and adjoining. A run was sent at one time and is in one state:
 *
 * - `sent`: on its way, as far as anybody knows;
 * - `lost`: thought lost, and to be sent again;
 * - `sacked`: selectively acknowledged.
 *
 * Runs that nothing has happened to since they left, by far the most, wait in a queue, in the order in which they were sent. Those before
 * them are on the board: a short array, replaced with each change. The queue's array only ever grows at its end, and values share it: each
 * looks at its own part, so adding a run to the latest value costs nothing like a copy, and the older ones stay as they were.
 */
import type { Writable } from "./ControlBlock.ts"
import * as News from "./News.ts"
import type { Mark } from "./RateSampling.ts"
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
  readonly mark: Mark
}

export interface Transmissions {
  readonly una: number
  readonly nxt: number
  /** Runs from `una` to `edge`; the first may begin before. */
  readonly board: ReadonlyArray<Run>
  readonly edge: number
  /** Runs from `edge` to `nxt`, each sent once: `[first, end)` of the array, and `last`. The first may begin before. */
  readonly queue: ReadonlyArray<Run>
  readonly first: number
  readonly end: number
  readonly last: Run | undefined
  /** Octets in each of these states. */
  readonly sacked: number
  readonly lost: number
  /** One past the highest octet that was ever delivered (RACK.fack of RFC 8985 §5.3). */
  readonly highest: number
}

const NOTHING: ReadonlyArray<Run> = []

/** Nothing is on its way; all before `una` is acknowledged. */
export const empty = (una: number): Transmissions => value(una, una, NOTHING, una, NOTHING, 0, 0, undefined, 0, 0, una)

/** Written out once: it is made for each segment and each acknowledgement. */
const value = (
  una: number,
  nxt: number,
  board: ReadonlyArray<Run>,
  edge: number,
  queue: ReadonlyArray<Run>,
  first: number,
  end: number,
  last: Run | undefined,
  sacked: number,
  lost: number,
  highest: number
): Transmissions => ({ una, nxt, board, edge, queue, first, end, last, sacked, lost, highest })

/** A copy that shares nothing which a connection changes in place (see `Runs`). */
export const own = (all: Transmissions): Writable<Transmissions> => ({
  ...all,
  queue: all.first === all.end ? NOTHING : all.queue.slice(all.first, all.end).map(copied),
  first: 0,
  end: all.end - all.first,
  last: all.last === undefined ? undefined : copied(all.last)
})

const copied = (run: Run): Run => ({ ...run, mark: { ...run.mark } })

/** How many runs there are. */
export const size = ({ board, end, first, last }: Transmissions): number =>
  board.length + end - first + (last === undefined ? 0 : 1)

/** The run at `index`, which must be there. */
export const at = (all: Transmissions, index: number): Run =>
  index < all.board.length ? all.board[index]! : queued(all, index - all.board.length)

const queued = ({ end, first, last, queue }: Transmissions, index: number): Run =>
  first + index < end ? queue[first + index]! : last!

/** Octets that are not acknowledged. */
export const outstanding = ({ nxt, una }: Transmissions): number => Sequence.difference(una, nxt)

/** Octets in the network (RFC 6675 §4, SetPipe). */
export const inFlight = (all: Transmissions): number => outstanding(all) - all.sacked - all.lost

/** Whether nothing is selectively acknowledged, thought lost, or was sent again. */
export const isClean = ({ board }: Transmissions): boolean => board.length === 0

const earliest = (a: number, b: number): number => Sequence.lessThan(a, b) ? a : b

/** `[left, right)` left for the first time; `left` is `nxt`. */
export const sent = (
  all: Transmissions,
  left: number,
  right: number,
  now: number,
  mark: Mark
): Transmissions => {
  const { board, edge, highest, last, lost, sacked, una } = all
  const isMore = last !== undefined && last.sentAt === now
  const run: Run = {
    left: isMore ? last.left : left,
    right,
    state: "sent",
    sentAt: now,
    sends: 1,
    inFlight: inFlight(all) + Sequence.difference(left, right),
    mark
  }
  if (isMore || last === undefined) {
    return value(una, right, board, edge, all.queue, all.first, all.end, run, sacked, lost, highest)
  }
  const { end, first, queue } = all
  // Another value has gone on from here, or much of the array is done with.
  const isOurs = queue.length === end && queue !== NOTHING && first <= 64 + (end >>> 1)
  const grown = isOurs ? queue as Array<Run> : queue.slice(first, end)
  grown.push(last)
  return value(una, right, board, edge, grown, isOurs ? first : 0, grown.length, run, sacked, lost, highest)
}

/** Everything before `ack` was acknowledged; a probe of the peer's window may lie beyond `nxt`. */
export const acknowledge = (all: Transmissions, ack: number, into: News.News): Transmissions => {
  const { board, end, highest, queue } = all
  let { first, last, lost, sacked, una } = all
  const count = board.length
  const isAll = Sequence.greaterOrEqual(ack, all.nxt)
  const until = isAll ? all.nxt : ack
  let index = 0
  while (una !== until) {
    const run = index < count ? board[index]! : first < end ? queue[first]! : last!
    const right = earliest(run.right, until)
    const octets = Sequence.difference(una, right)
    if (run.state === "sacked") sacked -= octets
    else News.delivered(into, run, octets, right)
    if (run.state === "lost") lost -= octets
    if (run.sends > 1) into.ambiguous = true
    una = right
    if (right !== run.right) break
    if (index < count) index++
    else if (first < end) first++
    else last = undefined
  }
  if (isAll) return empty(ack)
  const rest = index === 0 ? board : index === count ? NOTHING : board.slice(index)
  const edge = Sequence.latest(all.edge, ack)
  return value(ack, all.nxt, rest, edge, queue, first, end, last, sacked, lost, Sequence.latest(highest, ack))
}

/** The board up to `right` at least. */
const raised = (all: Transmissions, right: number): Transmissions => {
  if (Sequence.lessOrEqual(right, all.edge)) return all
  const { end, queue } = all
  const board = all.board.slice()
  let { edge, first, last } = all
  while (last !== undefined && Sequence.lessThan(edge, right)) {
    const run = first < end ? queue[first]! : last
    const to = earliest(run.right, right)
    push(board, { ...run, left: edge, right: to })
    edge = to
    if (to !== run.right) break
    if (first < end) first++
    else last = undefined
  }
  return value(all.una, all.nxt, board, edge, queue, first, end, last, all.sacked, all.lost, all.highest)
}

/** Adds a run, joined with the one before where nothing tells them apart any more. */
const push = (out: Array<Run>, run: Run): void => {
  const before = out[out.length - 1]
  if (before === undefined || !isAlike(before, run)) out.push(run)
  else {
    out[out.length - 1] = {
      ...run,
      left: before.left,
      sentAt: Math.max(before.sentAt, run.sentAt),
      sends: Math.max(before.sends, run.sends)
    }
  }
}

/** Whether two adjoining runs may be one. */
const isAlike = (a: Run, b: Run): boolean =>
  a.state === b.state && (
    a.state === "sacked" ||
    (a.sends === b.sends && (a.state === "lost" || a.sentAt === b.sentAt))
  )

/** The index of the run on the board that `seq` stands in, or of the next one. */
const find = (board: ReadonlyArray<Run>, seq: number): number => {
  let low = 0
  let high = board.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Sequence.greaterThan(board[middle]!.right, seq)) high = middle
    else low = middle + 1
  }
  return low
}

/** The board as `change` makes it of the parts within `[left, right)`; the rest stays. */
const rewrite = (
  before: Transmissions,
  left: number,
  right: number,
  change: (run: Run, octets: number) => Run
): Transmissions => {
  const all = raised(before, right)
  const { board, una } = all
  const begin = Math.max(0, find(board, left) - 1)
  // With one neighbour on each side, which the changed ones may join.
  const end = Math.min(board.length, find(board, Sequence.add(right, -1)) + 2)
  const out: Array<Run> = []
  let { lost, sacked } = all
  for (let index = begin; index < end; index++) {
    const run = board[index]!
    const start = Sequence.latest(run.left, una)
    const from = Sequence.latest(start, left)
    const to = earliest(run.right, right)
    const octets = Sequence.difference(from, to)
    if (octets <= 0) {
      push(out, run)
      continue
    }
    if (start !== from) push(out, { ...run, left: start, right: from })
    const part = start === from && to === run.right ? run : { ...run, left: from, right: to }
    const changed = change(part, octets)
    if (part.state === "lost") lost -= octets
    else if (part.state === "sacked") sacked -= octets
    if (changed.state === "lost") lost += octets
    else if (changed.state === "sacked") sacked += octets
    push(out, changed)
    if (to !== run.right) push(out, { ...run, left: to })
  }
  const whole = end - begin === board.length ? out : board.toSpliced(begin, end - begin, ...out)
  return value(una, all.nxt, whole, all.edge, all.queue, all.first, all.end, all.last, sacked, lost, all.highest)
}

/** `[left, right)`, which must be on its way, was selectively acknowledged (RFC 2018 §3). */
export const select = (all: Transmissions, left: number, right: number, into: News.News): Transmissions => {
  const there = all.board[find(all.board, left)]
  if (
    there?.state === "sacked" && Sequence.lessOrEqual(there.left, left) && Sequence.greaterOrEqual(there.right, right)
  ) return all
  const next = rewrite(all, left, right, (run, octets) => {
    if (run.state === "sacked") return run
    News.delivered(into, run, octets, run.right)
    return { ...run, state: "sacked" }
  })
  return Sequence.greaterThan(right, next.highest) ? { ...next, highest: right } : next
}

const asLost = (run: Run): Run => run.state === "sent" ? { ...run, state: "lost" } : run

/** What of `[left, right)` is on its way is thought lost. */
export const lose = (all: Transmissions, left: number, right: number): Transmissions =>
  rewrite(all, left, right, asLost)

/** The runs on their way for which `isLost` holds are thought lost; it may only hold of what was sent before what it does not hold of. */
export const loseIf = (before: Transmissions, isLost: (run: Run) => boolean): Transmissions => {
  const waiting = size(before) - before.board.length
  let count = 0
  while (count < waiting && isLost(queued(before, count))) count++
  const all = count === 0 ? before : raised(before, queued(before, count - 1).right)
  const isLostNow = (run: Run) => run.state === "sent" && isLost(run)
  const first = all.board.find(isLostNow)
  if (first === undefined) return all
  const last = all.board.findLast(isLostNow)!
  return rewrite(all, first.left, last.right, (run) => isLostNow(run) ? asLost(run) : run)
}

/** In how many places octets are thought lost. */
export const lostRanges = ({ board }: Transmissions): number => {
  let count = 0
  for (let index = 0; index < board.length; index++) {
    if (board[index]!.state === "lost" && board[index - 1]?.state !== "lost") count++
  }
  return count
}

/** The run of the queue that was sent first. */
export const eldest = (all: Transmissions): Run | undefined => all.last === undefined ? undefined : queued(all, 0)

/** The run of the queue that was sent last before what was sent at `sentAt` and ends at `end`. */
export const overtaken = (all: Transmissions, sentAt: number, end: number): Run | undefined => {
  let low = 0
  let high = size(all) - all.board.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const run = queued(all, middle)
    if (News.isLater(sentAt, end, run.sentAt, run.right)) low = middle + 1
    else high = middle
  }
  return low === 0 ? undefined : queued(all, low - 1)
}

/** `[left, right)` was sent once more. */
export const resent = (
  all: Transmissions,
  left: number,
  right: number,
  now: number,
  mark: Mark
): Transmissions => {
  const inFlightThen = inFlight(all) + Sequence.difference(left, right)
  return rewrite(all, left, right, (run) => ({
    ...run,
    state: "sent",
    sentAt: now,
    sends: run.sends + 1,
    inFlight: inFlightThen,
    mark
  }))
}

/** Octets on their way that were sent before. */
export const repeated = ({ board, una }: Transmissions): number => {
  let octets = 0
  for (const run of board) {
    if (run.sends > 1 && run.state === "sent") octets += Sequence.difference(Sequence.latest(run.left, una), run.right)
  }
  return octets
}

/** The lost octets that come first, or undefined. */
export const firstLost = ({ board, lost }: Transmissions): Run | undefined =>
  lost === 0 ? undefined : board.find(({ state }) => state === "lost")

/** Whether anything at or after `seq` is thought lost. */
export const isLostBeyond = ({ board, lost }: Transmissions, seq: number): boolean =>
  lost > 0 && board.some(({ right, state }) => state === "lost" && Sequence.greaterThan(right, seq))

/** What was thought lost is on its way after all. */
export const unlose = (all: Transmissions): Transmissions =>
  all.lost === 0
    ? all
    : rewrite(all, all.una, all.edge, (run) => run.state === "lost" ? { ...run, state: "sent" } : run)

/** The peer took its selective acknowledgements back (RFC 2018 §8). */
export const renege = (all: Transmissions): Transmissions =>
  all.sacked === 0
    ? all
    : rewrite(all, all.una, all.edge, (run) => run.state === "sacked" ? { ...run, state: "lost" } : run)
