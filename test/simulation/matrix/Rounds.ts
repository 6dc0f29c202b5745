/**
 * TCP in theory: a transfer round trip by round trip, with nothing of a TCP in
 * it but the window laws of the RFCs (after Padhye, Firoiu, Towsley, Kurose,
 * "Modeling TCP Throughput", 1998, which has the same rounds in closed form).
 *
 * In each round a window of segments is sent. The path loses some by chance, and
 * the bottleneck those for which it has no room. A round with a loss among
 * segments sent for the first time reduces the window once; all that was lost
 * goes again with the next round, as RFC 6675 and RFC 8985 find it. When a whole
 * window is lost, a probe goes (RFC 8985 §7), and when that is lost too, or was
 * lost while something was repaired, the retransmission timer ends the wait (RFC 6298).
 *
 * It is for transfers of a size for which formulas of the steady state are no
 * good: slow start, the queue, and luck are in it. A test holds its
 * long runs to the formulas of `Theory`.
 */
import type { Law } from "./Laws.ts"

/** A number in [0, 1), from a seed: the same each time (mulberry32). */
export const makeChance = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Whether the path loses the next packet. */
export type Loses = () => boolean

export const independent = (probability: number, chance: () => number): Loses => () => chance() < probability

/** Gilbert and Elliott's model, as the condition of the same name of a path. */
export const bursts = (
  { badToGood, goodToBad }: { readonly goodToBad: number; readonly badToGood: number },
  chance: () => number
): Loses => {
  let bad = false
  return () => {
    if (chance() < (bad ? badToGood : goodToBad)) bad = !bad
    return bad
  }
}

export interface Path {
  /** Milliseconds without queueing. */
  readonly roundTrip: number
  /** Milliseconds that a segment takes to leave. */
  readonly frameTime: number
  /** Segments that wait at the bottleneck at most. */
  readonly queue: number
  readonly loses: Loses
  /** Segments that the buffers of both ends let be under way. */
  readonly buffers: number
}

export interface Course {
  /** Milliseconds until the last segment has arrived. */
  readonly time: number
  /** Milliseconds until the first one was lost. */
  readonly firstLoss: number | undefined
  readonly sent: number
  readonly lost: number
  readonly timeouts: number
}

const INITIAL_WINDOW = 10
/** RFC 6298 §2.4, as Linux has it; how long a receiver waits before it acknowledges one segment alone. Milliseconds. */
const LEAST_TIMEOUT = 200
const DELAYED_ACKNOWLEDGEMENT = 40
/** WCDelAckT of RFC 8985 §7.2: for how long a probe after one segment alone has to think that it waits. */
const WORST_DELAY = 200

/** One transfer of that many segments. */
export const transfer = (law: Law, path: Path, segments: number): Course => {
  const self = new Transfer(law, path, segments)
  while (!self.isDone()) self.round()
  return self.course()
}

class Transfer {
  private readonly law: Law
  private readonly path: Path
  private readonly segments: number
  private window = INITIAL_WINDOW
  private now = 0
  private delivered = 0
  /** Segments that were lost and are to be sent again. */
  private again = 0
  private sent = 0
  private lost = 0
  private timeouts = 0
  private firstLoss: number | undefined
  private smoothed: number

  constructor(law: Law, path: Path, segments: number) {
    this.law = law
    this.path = path
    this.segments = segments
    this.smoothed = path.roundTrip
  }

  isDone(): boolean {
    return this.delivered >= this.segments
  }

  course(): Course {
    const { firstLoss, lost, now, path, sent, timeouts } = this
    return { time: now - path.roundTrip / 2, firstLoss, sent, lost, timeouts }
  }

  round(): void {
    const { law, path: { buffers, frameTime, roundTrip } } = this
    const allowed = Math.floor(Math.min(this.window, buffers))
    const count = Math.max(1, Math.min(allowed, this.segments - this.delivered))
    const repeated = Math.min(this.again, count)
    const lostAgain = this.send(repeated)
    const lostFirst = this.send(count - repeated)
    this.again += lostAgain + lostFirst - repeated
    if (lostAgain + lostFirst === count) return this.stalled(count, repeated > 0)
    const start = this.now
    const duration = Math.max(roundTrip + frameTime, count * frameTime)
    this.now += duration + (count === 1 && !this.isDone() ? DELAYED_ACKNOWLEDGEMENT : 0)
    // RFC 8985 §6.2: with fewer than three segments to tell of it, a loss is believed a quarter of a round trip later.
    if (lostFirst > 0 && count - lostFirst - lostAgain < 3) this.now += roundTrip / 4
    this.smoothed = duration
    if (lostFirst > 0) {
      this.window = law.reduce(this.window, this.now)
    } else if (lostAgain === 0 && count >= Math.floor(this.window)) {
      this.window = law.grow(this.window, start, roundTrip, duration - roundTrip)
    }
  }

  /** Sends some segments; gives how many of them are lost. */
  private send(count: number): number {
    const { frameTime, loses, queue, roundTrip } = this.path
    const room = Math.floor(roundTrip / frameTime + 1 + queue)
    let losses = Math.max(0, count - room)
    for (let passing = count - losses; passing > 0; passing--) if (loses()) losses++
    if (losses > 0) this.firstLoss ??= this.now
    this.sent += count
    this.lost += losses
    this.delivered += count - losses
    return losses
  }

  /** A whole window was lost, and is to be sent again. While something is repaired, there is no probe (RFC 8985 §7.2). */
  private stalled(count: number, isRepairing: boolean): void {
    const { law, smoothed } = this
    if (!isRepairing) {
      this.now += 2 * smoothed + (count === 1 ? WORST_DELAY : 0)
      if (this.send(1) === 0) {
        this.again--
        this.now += smoothed + (this.again === 0 ? DELAYED_ACKNOWLEDGEMENT : 0)
        this.window = law.reduce(this.window, this.now)
        return
      }
    }
    law.timeout(this.window, this.now)
    // RFC 6298 §5.5
    for (let timeout = smoothed + Math.max(LEAST_TIMEOUT, smoothed / 2);; timeout *= 2) {
      this.now += timeout
      this.timeouts++
      if (this.send(1) === 0) break
    }
    this.again--
    this.now += smoothed
    this.window = 2
  }
}
