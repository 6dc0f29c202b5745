/**
 * Fibers that wait until plain code has something for them.
 *
 * Being woken promises nothing: whoever waits looks again, and waits again
 * where somebody else was faster. An interrupted fiber is forgotten.
 */
import * as Effect from "effect/Effect"

export class Waiters {
  private waiting: Array<() => void> = []

  get size(): number {
    return this.waiting.length
  }

  /**
   * Waits to be woken, unless there is something already. That is asked here, since a fiber may be made to yield between
   * looking and waiting.
   */
  waitUnless(ready: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (ready()) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.waiting.push(wake)
      return this.forgetting(wake)
    })
  }

  /** Waits until `look` finds something, and gets it. Whoever is woken is looked for at once, and not when its fiber runs. */
  waitFor<A, E>(look: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const found = look()
      if (found !== undefined) return resume(found)
      const wake = () => {
        const then = look()
        if (then === undefined) this.waiting.push(wake)
        else resume(then)
      }
      this.waiting.push(wake)
      return this.forgetting(wake)
    })
  }

  /** Wakes the fiber that waits longest; it runs before this returns. */
  wakeOne(): void {
    this.waiting.shift()?.()
  }

  /** Wakes everybody who waits now. */
  wakeAll(): void {
    const all = this.waiting
    this.waiting = []
    for (const wake of all) wake()
  }

  private forgetting(wake: () => void): Effect.Effect<void> {
    return Effect.sync(() => {
      const index = this.waiting.indexOf(wake)
      if (index >= 0) this.waiting.splice(index, 1)
    })
  }
}
