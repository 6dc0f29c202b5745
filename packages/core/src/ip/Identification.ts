/**
 * Chooses the identification of datagrams that may be fragmented (RFC 791 §3.2, RFC 6864).
 *
 * Each flow of source, destination and protocol counts on its own from a secret start,
 * so an identification comes back only after 65,535 others, and nobody
 * can count what the host sends to somebody else. Flows share 1,024
 * counters by a keyed hash.
 */
const COUNTERS = 1024

export class Identification {
  private readonly counters: Uint16Array
  private readonly key: number

  /** `random` gives unsigned 32-bit integers. */
  constructor(random: () => number) {
    this.counters = new Uint16Array(COUNTERS)
    for (let index = 0; index < COUNTERS; index++) this.counters[index] = random()
    this.key = random()
  }

  next(source: number, destination: number, protocol: number): number {
    let hash = Math.imul(this.key ^ source, 0x85eb_ca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ destination, 0xc2b2_ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ protocol, 0x27d4_eb2f)
    const index = (hash ^ (hash >>> 16)) & (COUNTERS - 1)
    return this.counters[index]!++
  }
}
