/**
 * The scoreboard of a connection that changes it in place, for as long as nothing is missing: `Transmissions` without the copies.
 *
 * Runs that are acknowledged are used again for what is sent next, by whichever connection of the stack. A run belongs to one scoreboard
 * only: `Transmissions.own` copies them for whoever looks at it later, and what the machine makes of them takes their place.
 */
import type { Writable } from "../ControlBlock.ts"
import * as News from "../News.ts"
import * as RateSampling from "../RateSampling.ts"
import * as Sequence from "../Sequence.ts"
import * as Transmissions from "../Transmissions.ts"

type Run = Writable<Transmissions.Run> & { readonly mark: Writable<RateSampling.Mark> }
type Scoreboard = Writable<Transmissions.Transmissions>

/** Runs that are kept to be used again. */
const SPARES = 4096
/** An array of the queue that is longer is not kept once all is acknowledged. */
const KEPT = 64
/** Places of the queue that may be done with while others wait behind them. */
const SLACK = 64

const NOTHING: ReadonlyArray<Transmissions.Run> = []

export class Runs {
  private readonly spares: Array<Run> = []

  /** What `Transmissions.sent` does with a scoreboard of which nothing is missing: everything up to `right` has left. */
  sent(all: Scoreboard, right: number, now: number, delivery: RateSampling.DeliveryState): void {
    const { last, nxt } = all
    const inFlight = Transmissions.inFlight(all) + Sequence.difference(nxt, right)
    let run: Run
    if (last !== undefined && last.sentAt === now) run = last as Run
    else {
      if (last !== undefined) enqueue(all, last)
      run = this.take()
      run.left = nxt
      run.sentAt = now
      all.last = run
    }
    run.right = right
    run.inFlight = inFlight
    RateSampling.remark(run.mark, delivery)
    all.nxt = right
  }

  /** What `Transmissions.acknowledge` does with a scoreboard of which nothing is missing; `ack` is at most its `nxt`. */
  acknowledge(all: Scoreboard, ack: number, into: News.News): void {
    const { end, queue } = all
    let { first, last, una } = all
    while (una !== ack) {
      const run = (first < end ? queue[first]! : last!) as Run
      const isOver = Sequence.lessOrEqual(run.right, ack)
      const right = isOver ? run.right : ack
      News.delivered(into, run, Sequence.difference(una, right), right)
      una = right
      if (!isOver) break
      // Until something else is sent, it stays as it is, for those who measure by it.
      this.give(run)
      if (first < end) first++
      else last = undefined
    }
    const isAll = ack === all.nxt
    all.una = ack
    all.edge = isAll ? ack : Sequence.latest(all.edge, ack)
    all.highest = isAll ? ack : Sequence.latest(all.highest, ack)
    all.first = isAll ? 0 : first
    all.end = isAll ? 0 : end
    all.last = last
    if (isAll && queue.length > KEPT) all.queue = NOTHING
  }

  private take(): Run {
    return this.spares.pop() ?? {
      left: 0,
      right: 0,
      state: "sent",
      sentAt: 0,
      sends: 1,
      inFlight: 0,
      mark: { delivered: 0, deliveredAt: 0, firstSentAt: 0, lost: 0, isLimited: false }
    }
  }

  private give(run: Run): void {
    if (this.spares.length < SPARES) this.spares.push(run)
  }
}

/** The run that comes first once everything before `ack` is acknowledged, of a scoreboard of which nothing is missing. */
export const firstBeyond = (
  { end, first, last, queue }: Transmissions.Transmissions,
  ack: number
): Transmissions.Run | undefined => {
  for (let index = first; index < end; index++) {
    const run = queue[index]!
    if (Sequence.greaterThan(run.right, ack)) return run
  }
  return last !== undefined && Sequence.greaterThan(last.right, ack) ? last : undefined
}

/** Adds a run to the queue, whose array nobody else holds. */
const enqueue = (all: Scoreboard, run: Transmissions.Run): void => {
  if (all.queue.length === 0) all.queue = [run]
  const queue = all.queue as Array<Transmissions.Run>
  if (all.first === all.end) {
    all.first = 0
    all.end = 0
  } else if (all.first > SLACK + (all.end >>> 1)) {
    queue.copyWithin(0, all.first, all.end)
    all.end -= all.first
    all.first = 0
  }
  queue[all.end++] = run
}
