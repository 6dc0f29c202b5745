/**
 * What went over one connection, counted in place: octets and segments, and when the last ones came and went.
 *
 * It stands beside the control block and not in it, since it changes with each segment and decides nothing.
 */
import { type Segment, TcpFlag, wireSegments } from "./Segment.ts"
import type { TcpCounters } from "./TcpCounters.ts"

export class Traffic {
  segmentsSent = 0
  segmentsReceived = 0
  /** Segments with text or a FIN. */
  textSegmentsSent = 0
  textSegmentsReceived = 0
  /** Octets of text that left, retransmissions included; that the peer acknowledged; that came in order. */
  octetsSent = 0
  octetsAcknowledged = 0
  octetsReceived = 0
  /** When the last segment with text or a FIN left, when the last of these came, and the last with an ACK; milliseconds of the stack. */
  sentAt: number | undefined = undefined
  receivedAt: number | undefined = undefined
  acknowledgedAt: number | undefined = undefined
  private readonly counters: TcpCounters
  /** Whether the window last announced was 0. */
  private isWindowClosed = false

  constructor(counters: TcpCounters) {
    this.counters = counters
  }

  received(segment: Segment, now: number): void {
    const segments = wireSegments(segment)
    this.segmentsReceived += segments
    if ((segment.flags & TcpFlag.ack) !== 0) this.acknowledgedAt = now
    if (!hasText(segment)) return
    this.textSegmentsReceived += segments
    this.receivedAt = now
  }

  /** What came of a segment: octets that can be read now, and that are acknowledged. */
  took(received: number, acknowledged: number): void {
    this.octetsReceived += received
    this.octetsAcknowledged += acknowledged
  }

  sent(segment: Segment, now: number): void {
    const segments = wireSegments(segment)
    this.segmentsSent += segments
    if ((segment.flags & TcpFlag.rst) === 0 && (segment.wnd === 0) !== this.isWindowClosed) this.windowMoved()
    if (!hasText(segment)) return
    this.counters.textSent.value += segments
    this.textSegmentsSent += segments
    this.octetsSent += segment.length
    this.sentAt = now
  }

  private windowMoved(): void {
    const { windowsClosed, windowsReopened } = this.counters
    this.isWindowClosed = !this.isWindowClosed
    if (this.isWindowClosed) windowsClosed.value++
    else windowsReopened.value++
  }
}

const hasText = (segment: Segment): boolean => segment.length > 0 || (segment.flags & TcpFlag.fin) !== 0
