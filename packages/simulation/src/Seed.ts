/**
 * Numbers that follow from a seed and a name: every part of a simulation has
 * chance of its own, so that adding a host or a fault changes no other part.
 */

/** FNV-1a over the name, stirred with the seed; unsigned 32-bit. */
export const derive = (seed: number, name: string): number => {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) >>> 0
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
