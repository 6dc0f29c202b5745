/**
 * What one acknowledgement tells about what was on its way: it is filled while the scoreboard takes it.
 *
 * Whether a repetition was delivered, or the original after all, is seen by timestamps, and by how soon the answer came.
 */
import type { Writable } from "./ControlBlock.ts"
import * as Sequence from "./Sequence.ts"
import type { Run, Transmissions } from "./Transmissions.ts"

/** Octets, and milliseconds. */
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
  /** The sequence number before which `original` looks. */
  readonly until: number
  /** One past the highest octet delivered before. */
  readonly highest: number
  /** What tells whether a retransmission was delivered, or the original: now, the least round-trip time, and when the segment left that the peer answers. */
  readonly now: number
  readonly minimumRtt: number
  readonly echo: number | undefined
}

/** Nothing yet. */
export const none = (
  { highest }: Transmissions,
  until: number,
  now: number,
  minimumRtt: number,
  echo: number | undefined
): News => ({
  delivered: 0,
  newest: undefined,
  newestEnd: 0,
  timedAt: undefined,
  ambiguous: false,
  original: false,
  reordered: false,
  until,
  highest,
  now,
  minimumRtt,
  echo
})

/** Makes `news` what `none` makes. */
export const clear = (
  news: Writable<News>,
  { highest }: Transmissions,
  until: number,
  now: number,
  minimumRtt: number,
  echo: number | undefined
): void => {
  news.delivered = 0
  news.newest = undefined
  news.newestEnd = 0
  news.timedAt = undefined
  news.ambiguous = false
  news.original = false
  news.reordered = false
  news.until = until
  news.highest = highest
  news.now = now
  news.minimumRtt = minimumRtt
  news.echo = echo
}

/** Whether what was sent at `a` and ends at `aEnd` left after the other (RFC 8985 §6.2, RACK_sent_after). */
export const isLater = (a: number, aEnd: number, b: number, bEnd: number): boolean =>
  a > b || (a === b && Sequence.greaterThan(aEnd, bEnd))

/** Whether it was the original of a run sent again that was delivered (RFC 8985 §6.2, step 2). */
const isOriginals = (run: Run, { echo, minimumRtt, now }: News): boolean =>
  run.sends > 1 && (now - run.sentAt < minimumRtt || (echo !== undefined && echo < Math.floor(run.sentAt)))

/** `octets` up to `end` of a run that was not selectively acknowledged have been delivered. */
export const delivered = (into: News, run: Run, octets: number, end: number): void => {
  into.delivered += octets
  const isNewest = into.newest === undefined || isLater(run.sentAt, end, into.newest.sentAt, into.newestEnd)
  if (isNewest && !isOriginals(run, into)) {
    into.newest = run
    into.newestEnd = end
  }
  if (run.sends > 1) return
  if (into.timedAt === undefined || run.sentAt > into.timedAt) into.timedAt = run.sentAt
  if (Sequence.lessOrEqual(end, into.until)) into.original = true
  if (Sequence.lessThan(end, into.highest)) into.reordered = true
}
