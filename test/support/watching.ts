import { Effect } from "effect"

/** Waits until there is something to see; whoever changes what is looked at calls all watchers. */
export const watching = (watchers: Set<() => void>) => <A>(look: () => A | undefined): Effect.Effect<A> =>
  Effect.callback<A>((resume) => {
    const watcher = () => {
      const found = look()
      if (found === undefined) return
      watchers.delete(watcher)
      resume(Effect.succeed(found))
    }
    watchers.add(watcher)
    watcher()
    return Effect.sync(() => watchers.delete(watcher))
  })
