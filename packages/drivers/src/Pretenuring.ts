/**
 * Lets connections that are over be forgotten, whatever connections there were before them.
 *
 * V8 watches what becomes of the objects that a literal of JavaScript makes, `{…}` or `[…]`. When most of them have lived long, it
 * allocates all that follow in the old generation. A server with lasting connections teaches it so of nearly every literal that
 * belongs to a connection, in the stack, in Effect and in its own handlers. If then others come and go quickly, each of them leaves objects in
 * the old generation that point to what it was, so that every collection of the young generation copies all of it, and takes 10 ms and more
 * where it took one.
 *
 * So V8 is told not to do that, in the whole process, when the first native device is opened. Objects that live long are copied twice
 * at their beginning then, as all others that are not made by a literal.
 */
import * as Context from "effect/Context"

const switchOff = (): void => {
  try {
    process.getBuiltinModule("node:v8").setFlagsFromString("--no-allocation-site-pretenuring")
  } catch {
    // Another engine, or one that does not do so.
  }
}

/** Switches it off; called when a native device is opened. One that does nothing leaves V8 as it is. */
export const Pretenuring = Context.Reference<() => void>("@strata/drivers/Pretenuring", {
  defaultValue: () => switchOff
})
