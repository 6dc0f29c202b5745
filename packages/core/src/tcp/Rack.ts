/**
 * RACK: loss by time (RFC 8985 §6).
 *
 * Something that was sent well before something else that was delivered is lost. How long "well before" is, adapts to the reordering that
 * is seen: none at first, once three segments have overtaken; a quarter of the round-trip time and more where segments change places.
 */
import type { ControlBlock } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/** Times in milliseconds. */
export interface RackState {
  /** RACK.xmit_ts and RACK.end_seq: of the segment that was sent last among all that were delivered. */
  readonly sentAt: number
  readonly end: number
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

export const initial: RackState = {
  sentAt: -Infinity,
  end: 0,
  rtt: 0,
  reordering: false,
  multiplier: 1,
  persist: 16,
  round: undefined
}

/** Segments that must have overtaken while no reordering was seen yet (§6.2, step 4). */
const THRESHOLD = 3
/** Recoveries for which a wider window is kept. */
const PERSIST = 16

/**
 * Steps 1 to 3 of §6.2: takes notice of what was delivered. `echo` is when the segment was sent that the peer says it answers, where there
 * are timestamps: a retransmission that was not delivered itself must not count.
 */
export const delivered = (
  rack: RackState,
  news: Transmissions.News,
  minimumRtt: number,
  echo: number | undefined,
  now: number
): RackState => {
  const { newest, newestEnd, reordered } = news
  if (newest === undefined) return rack
  const rtt = now - newest.sentAt
  const isOriginals = newest.sends > 1 && (rtt < minimumRtt || (echo !== undefined && echo < Math.floor(newest.sentAt)))
  const isNew = !isOriginals && Transmissions.isLater(newest.sentAt, newestEnd, rack.sentAt, rack.end)
  if (!isNew && (rack.reordering || !reordered)) return rack
  return {
    sentAt: isNew ? newest.sentAt : rack.sentAt,
    end: isNew ? newestEnd : rack.end,
    rtt: isNew ? rtt : rack.rtt,
    reordering: rack.reordering || reordered,
    multiplier: rack.multiplier,
    persist: rack.persist,
    round: rack.round
  }
}

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
  if (!rack.reordering && (recovery.phase !== "open" || transmissions.sacked >= THRESHOLD * snd.mss)) return 0
  return Math.min((rack.multiplier * rtt.minimum) / 4, rtt.smoothed ?? 0)
}

export interface Detected {
  readonly transmissions: Transmissions.Transmissions
  /** Octets newly thought lost, and those of them that had been sent again before. */
  readonly lost: number
  readonly lostAgain: number
  /** When to look again, or `Infinity`. */
  readonly deadline: number
}

/** Step 5: what was sent before the newest delivered segment, and longer ago than a round trip and the window, is lost. */
export const detect = (tcb: ControlBlock, now: number): Detected => {
  const { rack } = tcb
  const patience = rack.rtt + reorderWindow(tcb)
  let { transmissions } = tcb
  let deadline = Infinity
  let lostAgain = 0
  const count = Transmissions.size(transmissions)
  const before = transmissions
  for (let index = 0; index < count; index++) {
    const run = Transmissions.at(before, index)
    if (run.state !== "sent") continue
    if (!Transmissions.isLater(rack.sentAt, rack.end, run.sentAt, run.right)) {
      // Runs that were sent once stand in the order of their times, and those sent again are later still.
      if (run.sends === 1) break
      continue
    }
    const remaining = run.sentAt + patience - now
    if (remaining > 0) {
      deadline = Math.min(deadline, now + remaining)
      continue
    }
    if (run.sends > 1) lostAgain++
    transmissions = Transmissions.lose(transmissions, run.left, run.right)
  }
  return { transmissions, lost: transmissions.lost - before.lost, lostAgain, deadline }
}
