/**
 * A bounded queue between plain code that delivers and fibers that wait.
 *
 * Waiting fibers are resumed once per turn, in its "wake" phase, in the order in which they came; the first gets all
 * that is there. A failure is passed on once, after what was delivered before it; of several that nobody has seen, the
 * latest counts. After `close` every take fails.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Turn } from "../time/Turn.ts"

export type NonEmpty<A> = readonly [A, ...Array<A>]

export interface Bounds {
  /** How many items it holds. */
  readonly capacity: number
  /** The sum of their sizes at which it takes no more. */
  readonly size: number
}

/** Told when an item came or all were taken: how many there are now, and the size of what moved. */
export type Movement = (tag: "QueuePushed" | "QueuePopped", count: number, size: number) => void

export class Mailbox<A, E> {
  /** Items that found no room, counted by who had them. */
  dropped = 0

  private items: Array<A> = []
  private size = 0
  private failure: E | undefined = undefined
  private closed: E | undefined = undefined
  private readonly waiting = new Set<(exit: Exit.Exit<NonEmpty<A>, E>) => void>()
  private waking = false
  private readonly turn: Turn["Service"]
  private readonly bounds: Bounds
  private readonly moved: Movement

  constructor(turn: Turn["Service"], bounds: Bounds, moved: Movement) {
    this.turn = turn
    this.bounds = bounds
    this.moved = moved
  }

  /** Whether there is room for one more item. */
  get hasRoom(): boolean {
    return this.items.length < this.bounds.capacity && this.size < this.bounds.size && this.closed === undefined
  }

  /** Adds an item, for which there must be room. */
  offer(item: A, size: number): void {
    this.items.push(item)
    this.size += size
    this.moved("QueuePushed", this.items.length, size)
    this.wakeLater()
  }

  fail(failure: E): void {
    this.failure = failure
    this.wakeLater()
  }

  close(failure: E): void {
    this.closed = failure
    this.items = []
    this.wakeLater()
  }

  /** Everything delivered since the last take; waits for the first item. */
  readonly take: Effect.Effect<NonEmpty<A>, E> = Effect.suspend(() => {
    const outcome = this.outcome()
    if (outcome !== undefined) return outcome
    return Effect.callback<NonEmpty<A>, E>((resume) => {
      this.waiting.add(resume)
      return Effect.sync(() => this.waiting.delete(resume))
    })
  })

  /** What a take gets now, or undefined when it has to wait. */
  private outcome(): Exit.Exit<NonEmpty<A>, E> | undefined {
    if (this.closed !== undefined) return Exit.fail(this.closed)
    if (this.items.length > 0) {
      const items = this.items as unknown as NonEmpty<A>
      this.moved("QueuePopped", 0, this.size)
      this.items = []
      this.size = 0
      return Exit.succeed(items)
    }
    if (this.failure === undefined) return undefined
    const failure = this.failure
    this.failure = undefined
    return Exit.fail(failure)
  }

  private wakeLater(): void {
    if (this.waking || this.waiting.size === 0) return
    this.waking = true
    this.turn.defer("wake", this.wake)
  }

  private readonly wake = (): void => {
    this.waking = false
    for (const resume of this.waiting) {
      const outcome = this.outcome()
      if (outcome === undefined) return
      this.waiting.delete(resume)
      resume(outcome)
    }
  }
}
