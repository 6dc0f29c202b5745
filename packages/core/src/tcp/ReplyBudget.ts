/**
 * How many answers of one kind a stack gives to strangers in a second: challenge acknowledgements (RFC 5961 §7), and resets.
 *
 * The number is drawn anew for each second, between a half and one and a half of what is allowed. Were it fixed, whoever
 * uses most of it up could tell from the rest whether somebody else was answered, and find out so about connections
 * that are not theirs.
 */
import type { Entropy } from "../Entropy.ts"

const SECOND = 1000

export class ReplyBudget {
  private readonly entropy: Entropy["Service"]
  private readonly perSecond: number
  private until = -Infinity
  private left = 0

  /** `perSecond` is a whole number, or `Infinity`. */
  constructor(entropy: Entropy["Service"], perSecond: number) {
    this.entropy = entropy
    this.perSecond = perSecond
  }

  /** Whether one more may be given at `now` (milliseconds); if so, it counts. */
  take(now: number): boolean {
    if (now >= this.until) {
      this.until = now + SECOND
      this.left = this.draw()
    }
    if (this.left <= 0) return false
    this.left--
    return true
  }

  private draw(): number {
    const { perSecond } = this
    return perSecond === 0 || perSecond === Infinity
      ? perSecond
      : Math.ceil(perSecond / 2) + this.entropy.below(perSecond)
  }
}
