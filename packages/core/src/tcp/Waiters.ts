/**
 * Fibers that wait until plain code has something for them.
 *
 * Being woken promises nothing: whoever waits looks again, and waits again
 * where somebody else was faster. An interrupted fiber is forgotten.
 */
import * as Effect from "effect/Effect"

export class Waiters {
  /** Made for the first one who waits: there may be very many connections with nobody. */
  private waiting: Array<() => void> | undefined = undefined

  get size(): number {
    return this.waiting?.length ?? 0
  }

  /**
   * Waits to be woken, unless there is something already. That is asked here, since a fiber may be made to yield between
   * looking and waiting.
   */
  waitUnless(ready: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (ready()) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.add(wake)
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
        if (then === undefined) this.add(wake)
        else resume(then)
      }
      this.add(wake)
      return this.forgetting(wake)
    })
  }

  /** Has `wake` called when it is its turn, once; for plain code. */
  wait(wake: () => void): void {
    this.add(wake)
  }

  /** Wakes the fiber that waits longest; it runs before this returns. */
  wakeOne(): void {
    const { waiting } = this
    if (waiting === undefined) return
    if (waiting.length === 1) this.waiting = undefined
    waiting.shift()?.()
  }

  /** Wakes everybody who waits now. */
  wakeAll(): void {
    const all = this.waiting
    if (all === undefined) return
    this.waiting = undefined
    for (const wake of all) wake()
  }

  private add(wake: () => void): void {
    if (this.waiting === undefined) this.waiting = [wake]
    else this.waiting.push(wake)
  }

  private forgetting(wake: () => void): Effect.Effect<void> {
    return Effect.sync(() => {
      const index = this.waiting?.indexOf(wake) ?? -1
      if (index >= 0) this.waiting!.splice(index, 1)
    })
  }
}
