/**
 * The IPv4 options of an echo reply: record route and timestamp of the request, with this host entered (RFC 1122
 * §3.2.2.6, RFC 791 §3.1). Other options are not sent back.
 */
import { Ipv4OptionKind } from "../wire/Ipv4Options.ts"
import { copyOf } from "../wire/Octets.ts"

/** What this host enters. */
export interface Entry {
  /** The address the reply comes from, unsigned 32-bit. */
  readonly address: number
  /** Milliseconds since midnight UTC. */
  readonly time: number
}

/** RFC 791 §3.1: the flag of a timestamp option. */
const TimestampFlag = { timesOnly: 0, withAddresses: 1, chosenAddresses: 3 } as const

/** Options of a reply to well-formed `options`, a multiple of four octets; undefined when there are none. */
export const replyOptions = (options: Uint8Array, entry: Entry): Uint8Array | undefined => {
  const kept: Array<number> = []
  for (let at = 0; at < options.length && options[at] !== Ipv4OptionKind.end;) {
    const kind = options[at]
    const length = kind === Ipv4OptionKind.noOperation ? 1 : options[at + 1]!
    const option = copyOf(options, at, at + length)
    if (kind === Ipv4OptionKind.recordRoute) kept.push(...recordRoute(option, entry))
    if (kind === Ipv4OptionKind.timestamp) kept.push(...recordTime(option, entry))
    at += length
  }
  while (kept.length % 4 !== 0) kept.push(Ipv4OptionKind.end)
  return kept.length === 0 ? undefined : Uint8Array.from(kept)
}

/** Pointers count from 1. A route that is full is sent back as it is. */
const recordRoute = (option: Uint8Array, { address }: Entry): Uint8Array => {
  const view = new DataView(option.buffer)
  const pointer = option[2]!
  if (pointer < 4 || pointer + 3 > option.length) return option
  view.setUint32(pointer - 1, address)
  option[2] = pointer + 4
  return option
}

/** Counts this host as one too many where there is no room; four bits count them. */
const recordTime = (option: Uint8Array, { address, time }: Entry): Uint8Array => {
  const view = new DataView(option.buffer)
  const pointer = option[2]!
  const flag = option[3]! & 0x0f
  const size = flag === TimestampFlag.timesOnly ? 4 : 8
  if (pointer < 5) return option
  if (pointer + size - 1 > option.length) {
    if (flag !== TimestampFlag.chosenAddresses && option[3]! >>> 4 < 15) option[3] = option[3]! + 0x10
    return option
  }
  if (flag === TimestampFlag.chosenAddresses && view.getUint32(pointer - 1) !== address) return option
  if (flag === TimestampFlag.withAddresses) view.setUint32(pointer - 1, address)
  view.setUint32(pointer + size - 5, time)
  option[2] = pointer + size
  return option
}
