/**
 * Opens the TAP that its argument names, in its own network namespace, has the kernel receive in a thread of its own, and exits
 * with code 3, without closing anything, when it is written to.
 */
import { Native } from "@strata/drivers"
import * as Effect from "effect/Effect"

const device = await Effect.runPromise(Native.open("openTap", process.argv[2]!, "", Native.Wanted.thread))
device.setThread(true)
process.stdin.once("data", () => process.exit(3))
