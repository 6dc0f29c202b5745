/**
 * A TCP segment as values: what arrived, and what is to be sent (RFC 9293 §3.4).
 */
import { TcpFlag } from "../wire/TcpHeader.ts"

export { TcpFlag }

/** One block of a SACK option (RFC 2018 §3): octets from `left` up to but not including `right`. */
export interface SackBlock {
  readonly left: number
  readonly right: number
}

/** What the options of a segment said; absent ones are undefined. */
export interface SegmentOptions {
  /** RFC 9293 §3.7.1, in octets. */
  readonly maximumSegmentSize?: number | undefined
  /** RFC 7323 §2: the shift count as sent, 0–255. */
  readonly windowScale?: number | undefined
  /** RFC 2018 §2. */
  readonly sackPermitted?: boolean | undefined
  /** RFC 2018 §3. */
  readonly sack?: ReadonlyArray<SackBlock> | undefined
  /** RFC 7323 §3. */
  readonly timestamps?: { readonly value: number; readonly echoReply: number } | undefined
}

export const NO_OPTIONS: SegmentOptions = {}

/** Sequence numbers are unsigned 32-bit integers. */
export interface Segment {
  /** SEG.SEQ */
  readonly seq: number
  /** SEG.ACK; meaningful only with the ACK bit. */
  readonly ack: number
  /** The control bits, as in `TcpFlag`. */
  readonly flags: number
  /** SEG.WND as it stands in the header, not scaled. */
  readonly wnd: number
  /** SEG.UP */
  readonly up: number
  /** Octets of text; SYN and FIN are not counted. */
  readonly length: number
  /**
   * Octets of text per segment on the wire, the last one may have fewer, when this stands for several of them: one segment to TCP in
   * everything but what counts segments. Otherwise 0 or absent.
   */
  readonly segmentSize?: number | undefined
  readonly options: SegmentOptions
  /** A router marked its packet (RFC 3168 §5); only of what arrives. */
  readonly congestionExperienced?: boolean | undefined
}

/** SEG.LEN of RFC 9293: text plus SYN plus FIN. */
export const sequenceLength = (segment: Segment): number =>
  segment.length + ((segment.flags & TcpFlag.syn) >>> 1) + (segment.flags & TcpFlag.fin)

/** How many segments on the wire it stands for. */
export const wireSegments = ({ length, segmentSize = 0 }: Segment): number =>
  segmentSize > 0 && length > segmentSize ? Math.ceil(length / segmentSize) : 1

/** The control bits as the seed prints them, `--UAPRSF`. */
export const formatFlags = (flags: number): string =>
  [...("--UAPRSF")].map((letter, index) => letter !== "-" && (flags & (0x80 >>> index)) !== 0 ? letter : "-").join("")
