/**
 * Decides whether Linux had better receive what the stack sends in a thread of its own.
 *
 * Without one, Linux receives a frame within the system call that writes it, on the stack's processor. A thread does so on another
 * one, and joins segments that it finds waiting (GRO), but must be woken first: worth it where many frames leave together, and
 * dear where one does.
 *
 * So the work that a turn gives to Linux is counted in frames: those written, and as many as were read by the size of full ones,
 * since what acknowledges them lets Linux cut and send the next. A large frame stands for dozens and costs as much as one;
 * neither it nor what acknowledges it is counted. The average over the last turns that wrote anything switches, with a distance
 * between on and off, and not twice within some dozens of them.
 *
 * Frames wait for the thread without a bound. TCP has one, the windows of those who receive; whatever else is written tells
 * against a thread, so that there is none while more of it leaves than segments.
 */

/** Octets of a frame on an Ethernet that is full. */
const FULL = 1514
/** Octets per frame from which on frames stand for several. */
const LARGE = 4096
/** The share of the newest turn in the average: one of so many. */
const TURNS = 32
/** Frames per turn from which on a thread is wanted, and below which it is not wanted any more. */
const ON = 8
const OFF = 3
/** Turns between two changes of mind. */
const APART = 64

export class Pressure {
  private average = 0
  private wanted = false
  /** Turns since the last change. */
  private since = 0
  /** Frames that were written in this turn, how many of them small, and how many not of TCP, before any of those are joined. */
  private written = 0
  private small = 0
  private others = 0

  /** Takes note of a frame that is to be written and holds no TCP segment. */
  other(): void {
    this.others++
  }

  /** Takes note of frames that Linux took in this turn, and of their octets. */
  wrote(frames: number, octets: number): void {
    this.written += frames
    if (octets <= frames * LARGE) this.small += frames
  }

  /** Ends a turn that has read so many frames; tells whether a thread is wanted. One that wrote nothing tells nothing. */
  turn(framesRead: number, octetsRead: number): boolean {
    const { others, small } = this
    if (this.written === 0) return this.wanted
    this.written = 0
    this.small = 0
    this.others = 0
    const segments = small - others
    const work = octetsRead > framesRead * LARGE ? 0 : Math.max(octetsRead / FULL + segments - others, 0)
    this.average += (work - this.average) / TURNS
    this.since++
    if (this.since >= APART && (this.wanted ? this.average < OFF : this.average > ON)) {
      this.wanted = !this.wanted
      this.since = 0
    }
    return this.wanted
  }
}
