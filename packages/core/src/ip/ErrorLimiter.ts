/**
 * How many ICMP errors may leave the host (RFC 1122 §3.2.2, RFC 1812 §4.3.2.8): 1,000 a second and 50 at once for all
 * of them together, so that a flood cannot make the host busy with answers; one a second and six at once for each
 * destination, so that nobody is flooded with answers to packets in its name.
 *
 * At most 1,024 destinations are remembered; the one asked about first gives way.
 */
import * as RateLimit from "./RateLimit.ts"

export const ALL: RateLimit.Limit = { perSecond: 1000, burst: 50 }
export const EACH: RateLimit.Limit = { perSecond: 1, burst: 6 }
export const CAPACITY = 1024

export class ErrorLimiter {
  private all: RateLimit.Bucket = { tokens: ALL.burst, at: 0 }
  private readonly each = new Map<number, RateLimit.Bucket>()

  get size(): number {
    return this.each.size
  }

  /** Whether an error may go to `destination` at `now` (milliseconds); if so, it counts. */
  permits(destination: number, now: number): boolean {
    const all = RateLimit.take(this.all = RateLimit.refill(this.all, ALL, now))
    const known = this.each.get(destination) ?? RateLimit.make(EACH, now)
    const one = RateLimit.take(RateLimit.refill(known, EACH, now))
    if (all === undefined || one === undefined) return false
    this.all = all
    if (!this.each.has(destination) && this.each.size >= CAPACITY) this.forgetOldest()
    this.each.set(destination, one)
    return true
  }

  private forgetOldest(): void {
    for (const destination of this.each.keys()) {
      this.each.delete(destination)
      return
    }
  }
}
