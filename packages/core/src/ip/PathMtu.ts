/**
 * What is known about the MTU of paths that is less than the MTU of their first link (RFC 1191).
 *
 * An estimate only ever shrinks by what a router says, and is forgotten ten
 * minutes after it was learned (§6.3), so that a better path is found again. At
 * most `CAPACITY` destinations are kept; the one learned longest ago gives way.
 *
 * Nobody can push an estimate below `FLOOR` octets: whoever sends forged errors
 * must not make this host send crumbs. A path that is narrower for real gets packets
 * of up to `FLOOR` octets that routers may fragment.
 */
export const FLOOR = 552
export const CAPACITY = 1024
/** Milliseconds. */
export const LIFETIME = 600_000

/** RFC 1191 §7: the usual MTUs, for routers that do not say theirs. */
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68]

/** The MTU of the path, or undefined when the message asks for no less, or for less than any link carries (RFC 791 §3.2). */
const pathOf = (length: number, said: number): number | undefined => {
  const path = said === 0 ? PLATEAUS.find((plateau) => plateau < length) : said
  return path === undefined || path >= length || path < 68 ? undefined : path
}

interface Estimate {
  readonly mtu: number
  /** Whether the path is narrower than `mtu`, so that routers must be allowed to fragment. */
  readonly fragmentable: boolean
  readonly expires: number
}

export class PathMtu {
  /** In the order in which they were learned. */
  private readonly estimates = new Map<number, Estimate>()

  get size(): number {
    return this.estimates.size
  }

  /** The MTU towards `destination` in octets, given that of the first link. */
  get(destination: number, linkMtu: number, now: number): number {
    const estimate = this.find(destination, now)
    return estimate === undefined ? linkMtu : Math.min(estimate.mtu, linkMtu)
  }

  /** Whether packets must be sent without the don't-fragment flag. */
  isFragmentable(destination: number, now: number): boolean {
    return this.find(destination, now)?.fragmentable === true
  }

  /**
   * Takes notice of "fragmentation needed" about a packet of `length` octets; `said` is the MTU in the message, 0 where
   * it names none. The result is the new estimate, or undefined when the message is not believed: it must ask for less
   * than what was sent, and for at least 68 octets (RFC 791 §3.2).
   */
  learn(destination: number, length: number, said: number, now: number): number | undefined {
    const path = pathOf(length, said)
    if (path === undefined) return undefined
    const known = this.find(destination, now)
    if (known !== undefined && known.mtu <= path) return known.mtu
    const mtu = Math.max(path, FLOOR)
    this.estimates.delete(destination)
    this.estimates.set(destination, { mtu, fragmentable: path < FLOOR, expires: now + LIFETIME })
    if (this.estimates.size > CAPACITY) this.forgetOldest()
    return mtu
  }

  /** What `learn` would return. */
  judge(destination: number, length: number, said: number, now: number): number | undefined {
    const path = pathOf(length, said)
    if (path === undefined) return undefined
    const known = this.find(destination, now)
    return known !== undefined && known.mtu <= path ? known.mtu : Math.max(path, FLOOR)
  }

  private find(destination: number, now: number): Estimate | undefined {
    if (this.estimates.size === 0) return undefined
    const estimate = this.estimates.get(destination)
    if (estimate === undefined) return undefined
    if (estimate.expires > now) return estimate
    this.estimates.delete(destination)
    return undefined
  }

  private forgetOldest(): void {
    for (const destination of this.estimates.keys()) {
      this.estimates.delete(destination)
      return
    }
  }
}
