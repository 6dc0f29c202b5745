/**
 * Fibers that wait until plain code has something for them.
 *
 * Being woken promises nothing: whoever waits looks again, and waits again
 * where somebody else was faster. An interrupted fiber is forgotten.
 */
import * as Effect from "effect/Effect"

/** Who waits is woken once. One that waits again and again is always the same object. */
export interface Waiter {
  readonly wake: () => void
}

export class Waiters {
  // One field for the one that there usually is, and nothing for none: there may be very many connections.
  private first: Waiter | undefined = undefined
  private others: Array<Waiter> | undefined = undefined

  get size(): number {
    return this.first === undefined ? 0 : 1 + (this.others?.length ?? 0)
  }

  /**
   * Waits to be woken, unless there is something already. That is asked here, since a fiber may be made to yield between
   * looking and waiting.
   */
  waitUnless(ready: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      let isAsked = false
      return this.waitFor(() => {
        if (isAsked || ready()) return Effect.void
        isAsked = true
        return undefined
      })
    })
  }

  /**
   * Waits until `look` finds something, and gets it. Whoever is woken is looked for at once, and not when its fiber runs. An Effect that is
   * run again and again makes next to nothing anew for each time that it waits.
   */
  waitFor<A, E>(look: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback(new Wait(this, look).register)
  }

  /** Has `listener` called when it is its turn, once; for plain code. */
  listen(listener: () => void): void {
    this.wait(new Listening(listener))
  }

  /** Has `waiter` woken when it is its turn, once. */
  wait(waiter: Waiter): void {
    if (this.first === undefined) this.first = waiter
    else if (this.others === undefined) this.others = [waiter]
    else this.others.push(waiter)
  }

  /** Wakes the one that waits longest; a fiber runs before this returns. */
  wakeOne(): void {
    const { first } = this
    if (first === undefined) return
    this.moveUp()
    first.wake()
  }

  /** Wakes everybody who waits now. */
  wakeAll(): void {
    const { first, others } = this
    if (first === undefined) return
    this.first = undefined
    this.others = undefined
    first.wake()
    others?.forEach((waiter) => waiter.wake())
  }

  /** Forgets one who waits. */
  remove(waiter: Waiter): void {
    if (this.first === waiter) return this.moveUp()
    const index = this.others?.indexOf(waiter) ?? -1
    if (index >= 0) this.others!.splice(index, 1)
  }

  /** The first one is gone; the next one is the first. */
  private moveUp(): void {
    this.first = this.others?.shift()
    if (this.others?.length === 0) this.others = undefined
  }
}

/** A fiber at a time waits here; another one that runs the same Effect meanwhile has a place of its own. */
class Wait<A, E> implements Waiter {
  private readonly waiters: Waiters
  private readonly look: () => Effect.Effect<A, E> | undefined
  private resume: ((found: Effect.Effect<A, E>) => void) | undefined = undefined
  private readonly forget: Effect.Effect<void>

  constructor(waiters: Waiters, look: () => Effect.Effect<A, E> | undefined) {
    this.waiters = waiters
    this.look = look
    this.forget = Effect.sync(() => {
      this.resume = undefined
      waiters.remove(this)
    })
  }

  readonly register = (resume: (found: Effect.Effect<A, E>) => void): Effect.Effect<void> | void => {
    const found = this.look()
    if (found !== undefined) return resume(found)
    if (this.resume !== undefined) return new Wait(this.waiters, this.look).register(resume)
    this.resume = resume
    this.waiters.wait(this)
    return this.forget
  }

  wake(): void {
    const found = this.look()
    if (found === undefined) return this.waiters.wait(this)
    const { resume } = this
    this.resume = undefined
    resume?.(found)
  }
}

class Listening implements Waiter {
  readonly wake: () => void

  constructor(listener: () => void) {
    this.wake = listener
  }
}
