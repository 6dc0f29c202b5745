/**
 * The fibers of a server's connections: one for each, begun in the turn in which the connection is taken, and no more than that.
 *
 * They end with the fiber that serves, and are not its children, nor in its scope: those are kept in a `Set` and a `Map`, see `LinkedList`.
 */
import { type Linked, LinkedList } from "@strata/core/LinkedList"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

class Handler implements Linked<Handler> {
  list: LinkedList<Handler> | undefined = undefined
  before: Handler | undefined = undefined
  behind: Handler | undefined = undefined
  fiber: Fiber.Fiber<void> | undefined = undefined
}

export class Handlers {
  private readonly all = new LinkedList<Handler>()

  /** Handles one connection; done when the fiber has begun. */
  start<R>(handle: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> {
    const handler = new Handler()
    return Effect.map(Effect.forkDetach(handle, { startImmediately: true }), (fiber) => {
      handler.fiber = fiber
      this.all.add(handler)
      fiber.addObserver(() => {
        this.all.delete(handler)
        handler.fiber = undefined
      })
    })
  }

  /** Waits for all that have begun. */
  get done(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.asVoid(Fiber.awaitAll(this.fibers())))
  }

  /** Interrupts all that have begun, and waits for them. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => Fiber.interruptAll(this.fibers()))
  }

  private fibers(): Array<Fiber.Fiber<void>> {
    return [...this.all].flatMap(({ fiber }) => fiber === undefined ? [] : [fiber])
  }
}
