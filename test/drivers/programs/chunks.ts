/**
 * Makes chunks outside of the heap that nobody holds, has the young generation collected, and prints how many octets of them are
 * left: for a process of its own, in which nobody else allocates.
 *
 * What V8 happens to promote in between it frees later. So there are three rounds, which together are too few octets for V8 to
 * collect anything by itself.
 */
import { YoungGeneration } from "@strata/drivers"
import { Effect } from "effect"

const CHUNK = 64 * 1024
const CHUNKS = 256
const ROUNDS = 3

const held = () => process.memoryUsage().arrayBuffers
/** Freeing takes other threads a moment, and the next collection counts what they freed. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 20))

const free = (await Effect.runPromise(YoungGeneration))!

const allocate = (): void => {
  for (let count = 0; count < CHUNKS; count++) new Uint8Array(CHUNK).fill(count)
}

const kept = new Uint8Array(CHUNK).fill(7)
const left: Array<number> = []
for (let round = 0; round < ROUNDS; round++) {
  free()
  await pause()
  const before = held()
  allocate()
  for (let tries = 0; tries < 50 && (tries === 0 || held() > before + CHUNK); tries++) {
    free()
    await pause()
  }
  left.push(held() - before)
}
const least = Math.min(...left.map(Math.abs))
process.stdout.write(JSON.stringify({ least, made: CHUNK * CHUNKS, kept: kept.every((octet) => octet === 7) }))
