/**
 * Prints the SHA-256 of the capture of a simulation from the seed in its
 * argument. To be run in a process of its own.
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { capture } from "./scene.ts"

const digest = createHash("sha256")
await Effect.runPromise(capture(Number(process.argv[2]), (block) => digest.update(block)))
process.stdout.write(digest.digest("hex"))
