/**
 * Opens the TAP that its argument names, in its own network namespace, and prints what the kernel does for it (`Capability`).
 */
import { Native } from "@strata/drivers"
import * as Effect from "effect/Effect"

const everything = Object.values(Native.Wanted).reduce((all, one) => all | one, 0)
const device = await Effect.runPromise(Native.open("openTap", process.argv[2]!, "", everything))
process.stdout.write(`${device.capabilities()}\n`)
device.close()
