/**
 * The headers of IGMP (RFC 1112 Appendix I, RFC 2236 §2, RFC 9776 §4), and the codes for times in them.
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** The types of messages of all three versions (RFC 1112, 2236, 9776). */
export const IgmpType = {
  query: 0x11,
  reportV1: 0x12,
  reportV2: 0x16,
  leave: 0x17,
  reportV3: 0x22
} as const

const common = { type: Field.u8, maxResponse: Field.u8, checksum: Field.u16 }

/** What every message begins with, and all there is in versions 1 and 2; there `maxResponse` counts tenths of a second. */
export const IgmpHeader = Header.make("Igmp", { ...common, group: Field.ipv4 })

/** A query of version 3, in front of its sources. `maxResponse` and `interval` are codes, see `decodeTime`. */
export const IgmpQueryHeader = Header.make("Igmp query", {
  ...common,
  group: Field.ipv4,
  flags: Field.bits(4),
  suppress: Field.flag,
  robustness: Field.bits(3),
  interval: Field.u8,
  sourceCount: Field.u16
})

/** A report of version 3, in front of its records. */
export const IgmpReportHeader = Header.make("Igmp report", {
  type: Field.u8,
  reserved: Field.u8,
  checksum: Field.u16,
  flags: Field.u16,
  recordCount: Field.u16
})

/** A group record, in front of its sources and `auxiliaryWords` words that nobody has given a meaning. */
export const IgmpRecordHeader = Header.make("Igmp group record", {
  type: Field.u8,
  auxiliaryWords: Field.u8,
  sourceCount: Field.u16,
  group: Field.ipv4
})

/** RFC 9776 §4.2.13. */
export const IgmpRecordType = {
  isInclude: 1,
  isExclude: 2,
  toInclude: 3,
  toExclude: 4,
  allow: 5,
  block: 6
} as const

/**
 * What a code of eight bits stands for (RFC 9776 §4.1.1, §4.1.7): below 128 itself, from there on a mantissa of four bits and
 * an exponent of three. Tenths of a second in `maxResponse`, seconds in `interval`.
 */
export const decodeTime = (code: number): number =>
  code < 0x80 ? code : ((code & 0x0f) | 0x10) << (((code >>> 4) & 0x07) + 3)

/** The code for the greatest time that is not over `time`. */
export const encodeTime = (time: number): number => {
  if (time < 0x80) return Math.max(0, Math.floor(time))
  for (let exponent = 0; exponent < 8; exponent++) {
    const mantissa = Math.floor(time) >>> (exponent + 3)
    if (mantissa < 0x20) return 0x80 | (exponent << 4) | (mantissa & 0x0f)
  }
  return 0xff
}
