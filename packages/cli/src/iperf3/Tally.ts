/**
 * What is counted of one stream, in place: once for each block or datagram.
 *
 * Datagrams are numbered from 1. What is missing below the highest number is lost until it comes after all; then it is out of
 * order. The jitter is the smoothed difference between the transit times of datagrams that follow each other (RFC 3550
 * §6.4.1); it needs no clocks that agree.
 */
export class Tally {
  /** Octets and blocks, or datagrams, sent or received. */
  bytes = 0
  blocks = 0
  /** The highest number received. */
  highest = 0
  lost = 0
  outOfOrder = 0
  /** Milliseconds. */
  jitter = 0
  private transit: number | undefined = undefined

  /** Octets that are `blocks` blocks. */
  count(bytes: number, blocks: number): void {
    this.bytes += bytes
    this.blocks += blocks
  }

  /** A datagram: its number, and when it was sent and received, in milliseconds of each side's clock. */
  datagram(bytes: number, number: number, sent: number, received: number): void {
    this.count(bytes, 1)
    if (number > this.highest) {
      this.lost += number - this.highest - 1
      this.highest = number
    } else {
      this.outOfOrder++
      if (this.lost > 0) this.lost--
    }
    const transit = received - sent
    if (this.transit !== undefined) this.jitter += (Math.abs(transit - this.transit) - this.jitter) / 16
    this.transit = transit
  }

  /** The totals now. */
  read(): Totals {
    const { blocks, bytes, highest, jitter, lost, outOfOrder } = this
    return { bytes, blocks, highest, lost, outOfOrder, jitter }
  }
}

export interface Totals {
  readonly bytes: number
  readonly blocks: number
  readonly highest: number
  readonly lost: number
  readonly outOfOrder: number
  readonly jitter: number
}

export const NOTHING: Totals = { bytes: 0, blocks: 0, highest: 0, lost: 0, outOfOrder: 0, jitter: 0 }

/** What was added since; the jitter is what it is. */
export const since = (now: Totals, before: Totals): Totals => ({
  bytes: now.bytes - before.bytes,
  blocks: now.blocks - before.blocks,
  highest: now.highest - before.highest,
  lost: now.lost - before.lost,
  outOfOrder: now.outOfOrder - before.outOfOrder,
  jitter: now.jitter
})
