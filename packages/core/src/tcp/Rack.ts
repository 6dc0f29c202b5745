/**
 * RACK: loss by time (RFC 8985 §6).
 *
 * Something that was sent well before something else that was delivered is lost. How long "well before" is, adapts to the reordering that
 * is seen: none at first, once three segments have overtaken; a quarter of the round-trip time and more where segments change places.
 */
import type { ControlBlock, Writable } from "./ControlBlock.ts"
import * as News from "./News.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** Times in milliseconds. */
export interface RackState {
  /** RACK.xmit_ts and RACK.end_seq: of the segment that was sent last among all that were delivered. */
  readonly sentAt: number
  readonly end: number
  /** Whether that had been sent before. */
  readonly again: boolean
  /** RACK.rtt: how long that one took. */
  readonly rtt: number
  /** RACK.reordering_seen */
  readonly reordering: boolean
  /** RACK.reo_wnd_mult: quarters of the least round-trip time. */
  readonly multiplier: number
  /** RACK.reo_wnd_persist: recoveries until the multiplier is 1 again. */
  readonly persist: number
  /** RACK.dsack_round: no second step before this is acknowledged. */
  readonly round: number | undefined
}

/** Segments that must have overtaken while no reordering was seen yet (§6.2, step 4). */
const THRESHOLD = 3
/** Recoveries for which a wider window is kept. */
const PERSIST = 16
/** Milliseconds that do not count: times are sums and differences of fractions. */
const GRAIN = 0.001

export const initial: RackState = {
  sentAt: -Infinity,
  end: 0,
  again: false,
  rtt: 0,
  reordering: false,
  multiplier: 1,
  persist: PERSIST,
  round: undefined
}

/** Steps 1 to 3 of §6.2: takes notice of what was delivered. */
export const delivered = (rack: RackState, news: News.News): RackState => {
  if (news.newest === undefined) return rack
  const next = draft(rack)
  deliver(next, news)
  return next
}

/** What `delivered` does, to a record that nobody else holds. */
export const deliver = (
  rack: Writable<RackState>,
  { newest, newestEnd, now, reordered }: News.News
): void => {
  if (newest === undefined) return
  if (News.isLater(newest.sentAt, newestEnd, rack.sentAt, rack.end)) {
    rack.sentAt = newest.sentAt
    rack.end = newestEnd
    rack.again = newest.sends > 1
  }
  rack.rtt = now - newest.sentAt
  if (reordered) rack.reordering = true
}

const draft = (rack: RackState): Writable<RackState> => ({
  sentAt: rack.sentAt,
  end: rack.end,
  again: rack.again,
  rtt: rack.rtt,
  reordering: rack.reordering,
  multiplier: rack.multiplier,
  persist: rack.persist,
  round: rack.round
})

/** Segments change places on the path. */
export const reordered = (rack: RackState): RackState => rack.reordering ? rack : { ...rack, reordering: true }

/** Step 4: a D-SACK says that the window was too narrow, at most once in a round trip. */
export const duplicated = (rack: RackState, una: number, nxt: number): RackState =>
  rack.round !== undefined && Sequence.lessThan(una, rack.round)
    ? rack
    : { ...rack, multiplier: rack.multiplier + 1, persist: PERSIST, round: nxt }

/** Step 4: after a recovery that no D-SACK followed. */
export const recovered = (rack: RackState): RackState => {
  if (rack.multiplier === 1) return rack
  return rack.persist > 1 ? { ...rack, persist: rack.persist - 1 } : { ...rack, multiplier: 1, persist: PERSIST }
}

/** RACK.reo_wnd in milliseconds (§6.2, step 4). */
export const reorderWindow = ({ rack, recovery, rtt, snd, transmissions }: ControlBlock): number => {
  // RFC 6675 §2, IsLost; one may be a FIN.
  const isImpatient = recovery.phase !== "open" || transmissions.sacked > (THRESHOLD - 1) * snd.mss + 1
  if (!rack.reordering && isImpatient) return 0
  return Math.min((rack.multiplier * rtt.minimum) / 4, rtt.smoothed ?? 0)
}

/** Whether anything that left once only left before the newest delivered segment: then it may be lost. */
export const isBehind = (rack: RackState, transmissions: Transmissions.Transmissions): boolean => {
  if (Transmissions.size(transmissions) === 0) return false
  return isAfter(rack, Transmissions.at(transmissions, 0))
}

/** Whether the newest delivered segment left after `run`. */
export const isAfter = ({ end, sentAt }: RackState, run: Transmissions.Run): boolean =>
  News.isLater(sentAt, end, run.sentAt, run.right)

export interface Detected {
  readonly transmissions: Transmissions.Transmissions
  /** Octets newly thought lost, and how many runs of them had been sent again before. */
  readonly lost: number
  readonly lostAgain: number
  /** When to look again, or `Infinity`. */
  readonly deadline: number
}

/**
 * Whether `run` should have been delivered before what was. Of new text and a repetition that left at the same moment, nobody knows which was
 * first.
 */
const isOvertaken = ({ again, end, sentAt }: RackState, run: Transmissions.Run): boolean =>
  run.state === "sent" && News.isLater(sentAt, end, run.sentAt, run.right) &&
  (run.sends === 1 || again || sentAt !== run.sentAt)

/** Step 5: what was sent before the newest delivered segment, and longer ago than a round trip and the window, is lost. */
export const detect = (tcb: ControlBlock, now: number): Detected => {
  const { rack, transmissions } = tcb
  const { board } = transmissions
  const eldest = Transmissions.eldest(transmissions)
  let isAny = eldest !== undefined && isOvertaken(rack, eldest)
  for (let index = 0; index < board.length && !isAny; index++) isAny = isOvertaken(rack, board[index]!)
  if (!isAny) return { transmissions, lost: 0, lostAgain: 0, deadline: Infinity }

  const patience = rack.rtt + reorderWindow(tcb)
  const isLost = (run: Transmissions.Run) => isOvertaken(rack, run) && run.sentAt + patience - now <= GRAIN
  const marked = Transmissions.loseIf(transmissions, isLost)
  const lost = marked.lost - transmissions.lost
  let lostAgain = 0
  if (lost > 0) { for (const run of board) if (run.sends > 1 && isLost(run)) lostAgain++ }
  return {
    transmissions: marked,
    lost,
    lostAgain,
    deadline: latestOvertaken(rack, marked) + patience
  }
}

/** When the last of those was sent that are overtaken, but not lost yet; `Infinity` without any. */
const latestOvertaken = (rack: RackState, all: Transmissions.Transmissions): number => {
  let latest = Transmissions.overtaken(all, rack.sentAt, rack.end)?.sentAt ?? -Infinity
  for (const run of all.board) if (run.sentAt > latest && isOvertaken(rack, run)) latest = run.sentAt
  return latest === -Infinity ? Infinity : latest
}
