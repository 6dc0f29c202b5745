/**
 * From whom packets to a multicast group are wanted (RFC 9776 §3).
 *
 * A filter is a value: a mode and a set of sources, unsigned 32-bit integers. "Include nobody" is what those have who are no
 * members; the filter of an interface is made of those of its sockets (§3.2).
 */

export interface SourceFilter {
  /** `include`: from these sources only; `exclude`: from all but these. */
  readonly mode: "include" | "exclude"
  readonly sources: ReadonlySet<number>
}

const NONE: ReadonlySet<number> = new Set()

/** No member: from nobody. */
export const NOTHING: SourceFilter = { mode: "include", sources: NONE }

/** A member of the group whoever sends. */
export const EVERYTHING: SourceFilter = { mode: "exclude", sources: NONE }

/** These sources alone; they are unsigned integers. */
export const include = (sources: Iterable<number>): SourceFilter => ({ mode: "include", sources: new Set(sources) })

/** All sources but these; they are unsigned integers. */
export const exclude = (sources: Iterable<number>): SourceFilter => ({ mode: "exclude", sources: new Set(sources) })

/** Whether nobody is wanted, so that there is no membership. */
export const isNothing = (filter: SourceFilter): boolean => filter.mode === "include" && filter.sources.size === 0

/** Whether packets from a source are wanted. */
export const admits = (filter: SourceFilter, source: number): boolean =>
  filter.sources.has(source) === (filter.mode === "include")

/** Whether both want the same sources. */
export const equals = (one: SourceFilter, other: SourceFilter): boolean =>
  one.mode === other.mode && one.sources.size === other.sources.size &&
  difference(one.sources, other.sources).size === 0

/** What is in the first set and not in the second. */
export const difference = (one: ReadonlySet<number>, other: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...one].filter((source) => !other.has(source)))

/** The sources that are in both. */
export const intersection = (one: ReadonlySet<number>, other: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...one].filter((source) => other.has(source)))

/** The same filter with one source more in its list. */
export const withSource = ({ mode, sources }: SourceFilter, source: number): SourceFilter => ({
  mode,
  sources: new Set(sources).add(source)
})

/** The same filter with one source less in its list. */
export const withoutSource = ({ mode, sources }: SourceFilter, source: number): SourceFilter => ({
  mode,
  sources: difference(sources, new Set([source]))
})

/**
 * RFC 9776 §3.2: the filter that lets through what any of the others does. With one that excludes it excludes what all of
 * those do and nobody includes; without, it includes what any does.
 */
export const merge = (filters: Iterable<SourceFilter>): SourceFilter => {
  const included = new Set<number>()
  let excluded: ReadonlySet<number> | undefined
  for (const { mode, sources } of filters) {
    if (mode === "include") { for (const source of sources) included.add(source) }
    else excluded = excluded === undefined ? sources : intersection(excluded, sources)
  }
  return excluded === undefined
    ? { mode: "include", sources: included }
    : { mode: "exclude", sources: difference(excluded, included) }
}
