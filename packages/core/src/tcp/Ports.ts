/**
 * Ephemeral ports (RFC 6056): a random one, and where that is taken, others at a random distance from each other (§3.3.5 has the idea), so
 * that taken ports do not pile up and the next one is found as soon when most are taken.
 */
import type { Entropy } from "../Entropy.ts"

/** RFC 6335 §6, dynamic ports. */
export const FIRST_EPHEMERAL = 49_152
/** A power of two: any odd distance leads to each of them once. */
export const EPHEMERAL_PORTS = 65_536 - FIRST_EPHEMERAL
/** After so many that are taken, one that can be had again will do. */
const PATIENCE = 256

const none = (): boolean => false

/**
 * A port for which `free` holds, or undefined when there is none. One for which only `reusable` holds is taken when there are hardly any
 * free ones.
 */
export const choose = (
  entropy: Entropy["Service"],
  free: (port: number) => boolean,
  reusable: (port: number) => boolean = none
): number | undefined => {
  const first = entropy.below(EPHEMERAL_PORTS)
  if (free(FIRST_EPHEMERAL + first)) return FIRST_EPHEMERAL + first
  const distance = 2 * entropy.below(EPHEMERAL_PORTS / 2) + 1
  let second: number | undefined
  for (let step = 0; step < EPHEMERAL_PORTS; step++) {
    const port = FIRST_EPHEMERAL + (first + step * distance) % EPHEMERAL_PORTS
    if (step > 0 && free(port)) return port
    if (second === undefined && reusable(port)) second = port
    if (second !== undefined && step >= PATIENCE) return second
  }
  return second
}
