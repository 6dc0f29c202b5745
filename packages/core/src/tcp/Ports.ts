/**
 * Ephemeral ports (RFC 6056 §3.3.2, algorithm 2): a random one, and from there
 * on the next that is free.
 */
import type { Entropy } from "../Entropy.ts"

/** RFC 6335 §6, dynamic ports. */
export const FIRST_EPHEMERAL = 49_152
export const EPHEMERAL_PORTS = 65_536 - FIRST_EPHEMERAL

/** A port for which `free` holds, or undefined when there is none. */
export const choose = (entropy: Entropy["Service"], free: (port: number) => boolean): number | undefined => {
  const start = entropy.below(EPHEMERAL_PORTS)
  for (let step = 0; step < EPHEMERAL_PORTS; step++) {
    const port = FIRST_EPHEMERAL + (start + step) % EPHEMERAL_PORTS
    if (free(port)) return port
  }
  return undefined
}
