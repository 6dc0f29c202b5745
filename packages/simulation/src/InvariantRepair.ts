/**
 * What must hold of the scoreboard, and of what is sent by it. Pure functions; each gives the first thing it finds wrong.
 */
import { type ControlBlock, isOpening } from "@strata/core/tcp/ControlBlock"
import * as Pacing from "@strata/core/tcp/Pacing"
import { TcpFlag } from "@strata/core/tcp/Segment"
import * as SendWindow from "@strata/core/tcp/SendWindow"
import type { Emission } from "@strata/core/tcp/TcpMachine"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import { type Broken, broken, difference } from "./InvariantRules.ts"

/** After a transition: every octet from SND.UNA to SND.NXT is in one run, and the sums are those of the runs. */
export const scoreboard = (before: ControlBlock, after: ControlBlock): Broken | undefined => {
  const all = after.transmissions
  if (before.transmissions === all || isOpening(after)) return undefined
  const { snd } = after
  if (all.una !== snd.una || all.nxt !== snd.nxt) {
    return broken("repair", `the scoreboard is about SND.UNA + ${difference(snd.una, all.una)} and its like`)
  }
  return before.transmissions.board === all.board ? queue(all) : board(all) ?? queue(all)
}

/** Runs that were looked at adjoin from SND.UNA on, and add up. */
const board = (all: Transmissions.Transmissions): Broken | undefined => {
  const octets = { sent: 0, lost: 0, sacked: 0 }
  let at = all.una
  for (const { left, right, state } of all.board) {
    const begins = difference(left, at)
    if (difference(at, right) <= 0 || begins < 0 || (begins > 0 && at !== all.una)) {
      return broken("repair", "runs of the scoreboard leave a gap, or overlap")
    }
    octets[state] += difference(at, right)
    at = right
  }
  if (at !== all.edge) return broken("repair", "the scoreboard ends before the queue begins")
  if (octets.lost === all.lost && octets.sacked === all.sacked) return undefined
  return broken(
    "repair",
    `${octets.lost} octets are lost and ${octets.sacked} selectively acknowledged, but ${all.lost} and ${all.sacked} are counted`
  )
}

/** What was not looked at yet reaches from there to SND.NXT. */
const queue = (all: Transmissions.Transmissions): Broken | undefined => {
  const { edge, last, nxt } = all
  const first = Transmissions.eldest(all)
  if (first === undefined || last === undefined) {
    return edge === nxt ? undefined : broken("repair", `${difference(edge, nxt)} octets are in no run`)
  }
  return difference(first.left, edge) >= 0 && difference(edge, first.right) > 0 && last.right === nxt
    ? undefined
    : broken("repair", "the queue of the scoreboard does not reach from its board to SND.NXT")
}

/** A segment that `before` lets go at `now`. */
export const departure = (before: ControlBlock, segment: Emission, now: number): Broken | undefined => {
  const { flags, length } = segment
  if (isOpening(before) || (length === 0 && (flags & TcpFlag.fin) === 0)) return undefined
  // A timer, or the third duplicate, demands it; or it is a tail loss probe.
  const isProbe = before.recovery.tail?.state === "due"
  return repetition(before, segment, isProbe) ?? (before.snd.forced || isProbe ? undefined : pace(before, length, now))
}

/** Only what is thought lost is sent again, or what a probe repeats, and never what is selectively acknowledged. */
const repetition = (before: ControlBlock, { flags, length, seq }: Emission, isProbe: boolean): Broken | undefined => {
  const { snd, transmissions } = before
  if (difference(seq, snd.nxt) <= 0) return undefined
  const end = seq + length + (flags & TcpFlag.fin)
  for (let index = 0; index < Transmissions.size(transmissions); index++) {
    const { left, right, state } = Transmissions.at(transmissions, index)
    if (difference(seq, right) <= 0) continue
    if (difference(left, end) <= 0) return undefined
    if (state === "lost" || (isProbe && state === "sent")) continue
    return broken(
      "repair",
      state === "sacked"
        ? "octets were sent again that are selectively acknowledged"
        : "octets were sent again that nobody thinks lost"
    )
  }
  return undefined
}

/** What is in flight keeps to the congestion window, and leaves no earlier than the pace allows. */
const pace = (before: ControlBlock, length: number, now: number): Broken | undefined => {
  const { congestion, snd } = before
  const window = Math.max(congestion.window, snd.mss)
  const inFlight = SendWindow.inFlight(before) + length
  // A FIN by itself takes nothing of the window, which a probe may have used up and more (RFC 8985 §7.3).
  if (length > 0 && inFlight > window) {
    return broken("congestion", `${inFlight} octets are in flight in a window of ${window}`)
  }
  if (!Pacing.isEarly(before, now)) return undefined
  return broken("congestion", `a segment left ${(snd.paceAt - now).toFixed(3)} ms before its time`)
}
