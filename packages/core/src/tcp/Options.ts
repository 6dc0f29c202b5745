/**
 * Which options a connection uses, and what they say on its segments (RFC 7323, RFC 2018, RFC 9293 §3.7.1).
 *
 * Each is offered in our SYN when the settings allow it, and used when the peer's SYN says so, too.
 */
import type { AgreedOptions, ControlBlock, ReceiveSpace } from "./ControlBlock.ts"
import * as Ecn from "./Ecn.ts"
import * as Ranges from "./Ranges.ts"
import * as ReceiveWindow from "./ReceiveWindow.ts"
import { NO_OPTIONS, type SackBlock, type Segment, type SegmentOptions } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"
import * as Timestamps from "./Timestamps.ts"

/** RFC 7323 §2.3: larger shift counts mean this one. */
export const LARGEST_SHIFT = 14
/** SACK blocks that fit beside timestamps (RFC 2018 §3). */
const BLOCKS_BESIDE_TIMESTAMPS = 3
const BLOCKS = 4

/** The options of our SYN; of a SYN,ACK, what `agreed` has left of them. */
export const synchronization = (tcb: ControlBlock, now: number): SegmentOptions => {
  const { options, rcv } = tcb
  return {
    maximumSegmentSize: rcv.mss,
    windowScale: options.windowScale ? rcv.scale : undefined,
    sackPermitted: options.sack ? true : undefined,
    timestamps: options.timestamps ? stamp(tcb, now) : undefined
  }
}

const stamp = ({ timestamps }: ControlBlock, now: number) => ({
  value: Timestamps.value(timestamps, now),
  echoReply: timestamps.recent
})

/** Timestamps alone, where they are agreed on. */
export const stamped = (tcb: ControlBlock, now: number): SegmentOptions =>
  tcb.options.timestamps ? { timestamps: stamp(tcb, now) } : NO_OPTIONS

/** Octets of a SACK option without its blocks, padded, and of a block. */
const SACK_HEAD = 4
const SACK_BLOCK = 8

/**
 * The options of any other segment with `length` octets of text; `rcv` is the receive space once it has left. SACK blocks
 * that would make the segment too long for the path are left out: bare acknowledgements carry them as well.
 */
export const established = (tcb: ControlBlock, rcv: ReceiveSpace, length: number, now: number): SegmentOptions => {
  const { options } = tcb
  const sack = options.sack && (rcv.ranges.length > 0 || tcb.rcv.duplicate !== undefined || isFinAhead(rcv))
    ? blocks(tcb.rcv, room(tcb, length))
    : undefined
  if (!options.timestamps) return sack === undefined ? NO_OPTIONS : { sack }
  return { sack, timestamps: stamp(tcb, now) }
}

/** How many SACK blocks fit. */
const room = ({ options, snd }: ControlBlock, length: number): number => {
  const most = options.timestamps ? BLOCKS_BESIDE_TIMESTAMPS : BLOCKS
  return length === 0 ? most : Math.max(0, Math.min(most, Math.floor((snd.mss - length - SACK_HEAD) / SACK_BLOCK)))
}

/** Whether the peer's FIN is here, but not all that comes before it. */
const isFinAhead = ({ fin, nxt }: ReceiveSpace): boolean => fin !== undefined && Sequence.lessThan(nxt, fin)

/**
 * RFC 2018 §4: the range that grew last comes first; RFC 2883 §4: before it, once, what came twice. A FIN that is ahead is told of like
 * an octet.
 */
const blocks = (rcv: ReceiveSpace, most: number): ReadonlyArray<SackBlock> | undefined => {
  const { duplicate, ranges, recent } = rcv
  if (most === 0) return undefined
  const told: Array<SackBlock> = duplicate === undefined ? [] : [duplicate]
  for (const left of recent) {
    if (told.length === most) break
    const range = Ranges.from(ranges, left)
    if (range?.left === left) told.push(range)
  }
  return isFinAhead(rcv) ? withFin(told, rcv, most) : told
}

const withFin = (
  told: ReadonlyArray<SackBlock>,
  { duplicate, fin = 0 }: ReceiveSpace,
  most: number
): ReadonlyArray<SackBlock> => {
  const right = Sequence.add(fin, 1)
  const index = told.findIndex((block) => block.right === fin && block !== duplicate)
  if (index >= 0) return told.with(index, { left: told[index]!.left, right })
  return told.length < most ? [...told, { left: fin, right }] : told
}

/** The control block once the peer's SYN told which options it knows. */
export const agreed = (tcb: ControlBlock, segment: Segment, now: number): ControlBlock => {
  const said = segment.options
  const options: AgreedOptions = {
    windowScale: tcb.options.windowScale && said.windowScale !== undefined,
    timestamps: tcb.options.timestamps && said.timestamps !== undefined,
    sack: tcb.options.sack && said.sackPermitted === true,
    ecn: tcb.options.ecn && Ecn.isAgreed(tcb, segment)
  }
  return {
    ...tcb,
    options,
    snd: { ...tcb.snd, scale: options.windowScale ? Math.min(said.windowScale!, LARGEST_SHIFT) : 0 },
    rcv: options.windowScale ? tcb.rcv : ReceiveWindow.unscaled(tcb.rcv),
    timestamps: options.timestamps
      ? { ...tcb.timestamps, recent: said.timestamps!.value, recentAt: now }
      : tcb.timestamps
  }
}

/** The least send MSS that is believed: smaller ones only serve to make many segments. */
export const LEAST_MSS = 48
/** Octets that timestamps take on every segment. */
const TIMESTAMPS_LENGTH = 12

/** Octets of options on every segment with text. */
export const overhead = (options: AgreedOptions): number => options.timestamps ? TIMESTAMPS_LENGTH : 0

/** Octets of text that a segment has room for when `announced` is the peer's MSS, which does not count options (RFC 6691). */
export const sendMss = ({ options, rcv }: ControlBlock, announced: number): number =>
  Math.max(LEAST_MSS, Math.min(announced, rcv.mss) - overhead(options))

/** As many of the ranges that grew lately are remembered; more than fit an option, since they join. */
const REMEMBERED = 8

/** The left edges of ranges, the latest first, after `[left, …)` was added to. */
export const recent = (rcv: ReceiveSpace, ranges: ReceiveSpace["ranges"], seq: number): ReadonlyArray<number> => {
  const touched = Ranges.from(ranges, seq)
  if (touched === undefined) return rcv.recent
  if (rcv.recent[0] === touched.left) return rcv.recent
  const others = rcv.recent.filter((left) => left !== touched.left && Ranges.from(ranges, left)?.left === left)
  return [touched.left, ...others.slice(0, REMEMBERED - 1)]
}
