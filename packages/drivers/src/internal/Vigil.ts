/**
 * Whether to look on for what comes next, when all that has arrived is read (see `BusyPolling`).
 *
 * What comes in time counts for it, what does not counts twice against it: so it is kept up where two of three looks are worth it. Where they
 * are not, they are left out, for twice as many batches each time, and tried again. And other events of the process wait no longer
 * than `EVENT` for the end of it.
 */

/** Milliseconds of one event, for as long as each look finds something. */
const EVENT = 0.5
/** What counts against it, up to which it goes on, and at most. */
const DOUBT = 6
const MOST = 20

export class Vigil {
  /** Milliseconds of one look. */
  private readonly patience: number
  private readonly now: () => number
  private isLooking = false
  private until = 0
  /** When this event has to end; 0 before the first look. */
  private end = 0
  private doubt = 0
  /** Batches after which nobody looks. */
  private left = 0

  constructor(microseconds: number, now: () => number) {
    this.patience = microseconds / 1000
    this.now = now
  }

  /** An event begins. */
  start(): void {
    this.isLooking = false
    this.end = 0
  }

  /** A batch was read, the last for now; whether to look on. */
  begins(): boolean {
    if (this.isLooking && this.doubt > 0) this.doubt--
    this.isLooking = false
    if (this.patience === 0) return false
    if (this.left > 0) {
      this.left--
      return false
    }
    const now = this.now()
    if (this.end === 0) this.end = now + EVENT
    this.until = Math.min(now + this.patience, this.end)
    this.isLooking = now < this.until
    return this.isLooking
  }

  /** There was nothing; whether to look on. */
  goesOn(): boolean {
    if (!this.isLooking) return false
    if (this.now() < this.until) return true
    this.isLooking = false
    this.doubt = Math.min(this.doubt + 2, MOST)
    if (this.doubt > DOUBT) this.left = 2 ** (this.doubt >>> 1)
    return false
  }
}
