/**
 * What a query says (RFC 9776 §4.1, §7.1, RFC 2236 §2).
 */
import { isMulticast } from "../ip/AddressClass.ts"
import { decodeTime, IgmpHeader, IgmpQueryHeader } from "../wire/IgmpHeader.ts"
import { DEFAULT_MAX_RESPONSE, DEFAULT_QUERY_INTERVAL, DEFAULT_ROBUSTNESS, type Version } from "./Memberships.ts"

export interface Query {
  readonly version: Version
  /** 0 when it is about all groups. */
  readonly group: number
  /** Empty when it is about all sources. */
  readonly sources: ReadonlyArray<number>
  /** Milliseconds within which to answer. */
  readonly maxResponse: number
  readonly robustness: number
  /** Milliseconds between the querier's general queries. */
  readonly interval: number
}

const TENTH = 100
const SECOND = 1000

/** The query in `[at, end)`, or the name under which it is dropped. The first octets of a message must be there. */
export const parse = (view: DataView, at: number, end: number): Query | string => {
  const group = IgmpHeader.get.group(view, at)
  if (group !== 0 && !isMulticast(group)) return "badGroup"
  if (end - at === IgmpHeader.size) return parseOlder(group, IgmpHeader.get.maxResponse(view, at))
  return end - at < IgmpQueryHeader.size ? "badLength" : parseNewest(view, at, end, group)
}

/** §7.1: version 1 has nothing where version 2 has a time. */
const parseOlder = (group: number, tenths: number): Query => ({
  version: tenths === 0 ? 1 : 2,
  group,
  sources: [],
  maxResponse: tenths === 0 ? DEFAULT_MAX_RESPONSE : tenths * TENTH,
  robustness: DEFAULT_ROBUSTNESS,
  interval: DEFAULT_QUERY_INTERVAL
})

const parseNewest = (view: DataView, at: number, end: number, group: number): Query | string => {
  const get = IgmpQueryHeader.get
  const count = get.sourceCount(view, at)
  const sourcesAt = at + IgmpQueryHeader.size
  if (sourcesAt + 4 * count > end) return "truncated"
  if (group === 0 && count > 0) return "sourcesOfNoGroup"
  const robustness = get.robustness(view, at)
  const interval = decodeTime(get.interval(view, at))
  return {
    version: 3,
    group,
    sources: Array.from({ length: count }, (_, index) => view.getUint32(sourcesAt + 4 * index)),
    maxResponse: decodeTime(get.maxResponse(view, at)) * TENTH,
    // §4.1.6, §4.1.7: zero stands for the default.
    robustness: robustness === 0 ? DEFAULT_ROBUSTNESS : robustness,
    interval: interval === 0 ? DEFAULT_QUERY_INTERVAL : interval * SECOND
  }
}
