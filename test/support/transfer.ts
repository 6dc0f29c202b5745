/**
 * Bytes to be sent, and to be recognised when they arrive.
 */
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"

export const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Bytes that differ from place to place and from `seed` to `seed`. */
export const patterned = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >>> 8) * 7 + seed * 101) & 0xff)

/** All that arrives until the peer's FIN. */
export const readAll = Effect.fnUntraced(function*(connection: Connection) {
  const chunks: Array<Uint8Array> = []
  yield* Effect.forever(Effect.map(connection.read, (read) => void chunks.push(...read))).pipe(
    Effect.catchTag("Done", () => Effect.void)
  )
  return new Uint8Array(Buffer.concat(chunks))
})

/** How many octets arrive until the peer's FIN, and their SHA-256. */
export const readHash = Effect.fnUntraced(function*(connection: Connection) {
  const hash = createHash("sha256")
  let octets = 0
  yield* Effect.forever(Effect.map(connection.read, (chunks) => {
    for (const chunk of chunks) {
      hash.update(chunk)
      octets += chunk.length
    }
  })).pipe(Effect.catchTag("Done", () => Effect.void))
  return { octets, hash: hash.digest("hex") }
})

/** Writes that many random octets and gives their SHA-256. */
export const writeRandom = Effect.fnUntraced(function*(connection: Connection, octets: number) {
  const hash = createHash("sha256")
  for (let left = octets; left > 0;) {
    const chunk = randomBytes(Math.min(left, 256 * 1024))
    left -= chunk.length
    hash.update(chunk)
    yield* connection.write(chunk)
  }
  return hash.digest("hex")
})
