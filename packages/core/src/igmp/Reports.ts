/**
 * Messages as octets (RFC 9776 §4.2, RFC 2236 §2), and to whom they go.
 */
import * as Checksum from "../wire/Checksum.ts"
import { viewOf } from "../wire/Header.ts"
import { IgmpHeader, IgmpRecordHeader, IgmpRecordType, IgmpReportHeader, IgmpType } from "../wire/IgmpHeader.ts"
import type { GroupRecord, Message } from "./Memberships.ts"

/** 224.0.0.2 (RFC 2236 §3.2) and 224.0.0.22 (RFC 9776 §4.2.15). */
export const ALL_ROUTERS = 0xe000_0002
export const IGMP_ROUTERS = 0xe000_0016

/** A message that fits into a packet. */
export interface Outgoing {
  readonly destination: number
  readonly bytes: Uint8Array
}

/** What a message is sent as, in pieces of at most `capacity` octets, of which there must be room for one source. */
export const encode = (message: Message, capacity: number): ReadonlyArray<Outgoing> => {
  switch (message._tag) {
    case "ReportV3":
      return encodeReports(message.records, capacity).map((bytes) => ({ destination: IGMP_ROUTERS, bytes }))
    case "ReportV1":
      return [{ destination: message.group, bytes: encodeShort(IgmpType.reportV1, message.group) }]
    case "ReportV2":
      return [{ destination: message.group, bytes: encodeShort(IgmpType.reportV2, message.group) }]
    case "Leave":
      return [{ destination: ALL_ROUTERS, bytes: encodeShort(IgmpType.leave, message.group) }]
  }
}

const encodeShort = (type: number, group: number): Uint8Array => {
  const bytes = new Uint8Array(IgmpHeader.size)
  const view = viewOf(bytes)
  IgmpHeader.set.type(view, 0, type)
  IgmpHeader.set.group(view, 0, group)
  return sealed(bytes, view)
}

interface Cut {
  readonly type: number
  readonly group: number
  readonly sources: ReadonlyArray<number>
}

const sizeOf = ({ sources }: Cut): number => IgmpRecordHeader.size + 4 * sources.length

const encodeReports = (records: ReadonlyArray<GroupRecord>, capacity: number): ReadonlyArray<Uint8Array> => {
  const room = capacity - IgmpReportHeader.size
  const reports: Array<Uint8Array> = []
  let waiting: Array<Cut> = []
  let size = 0
  for (const piece of records.flatMap((record) => cut(record, (room - IgmpRecordHeader.size) >>> 2))) {
    if (size + sizeOf(piece) > room) {
      reports.push(encodeReport(waiting))
      waiting = []
      size = 0
    }
    waiting.push(piece)
    size += sizeOf(piece)
  }
  if (waiting.length > 0) reports.push(encodeReport(waiting))
  return reports
}

/**
 * §4.2.16: a list of sources that does not fit is cut into several; where that would change its meaning, as with those that
 * are excluded, it ends early, and too much is received.
 */
const cut = ({ group, sources, type }: GroupRecord, most: number): ReadonlyArray<Cut> => {
  const all = [...sources]
  if (all.length <= most) return [{ type, group, sources: all }]
  if (type === IgmpRecordType.isExclude || type === IgmpRecordType.toExclude) {
    return [{ type, group, sources: all.slice(0, most) }]
  }
  const pieces: Array<Cut> = []
  for (let at = 0; at < all.length; at += most) {
    // A second record that says which are included would take the place of the first one.
    const kind = at > 0 && type === IgmpRecordType.toInclude ? IgmpRecordType.allow : type
    pieces.push({ type: kind, group, sources: all.slice(at, at + most) })
  }
  return pieces
}

const encodeReport = (records: ReadonlyArray<Cut>): Uint8Array => {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + sizeOf(record), IgmpReportHeader.size))
  const view = viewOf(bytes)
  IgmpReportHeader.set.type(view, 0, IgmpType.reportV3)
  IgmpReportHeader.set.recordCount(view, 0, records.length)
  let at = IgmpReportHeader.size
  for (const { group, sources, type } of records) {
    IgmpRecordHeader.set.type(view, at, type)
    IgmpRecordHeader.set.sourceCount(view, at, sources.length)
    IgmpRecordHeader.set.group(view, at, group)
    at += IgmpRecordHeader.size
    for (const source of sources) {
      view.setUint32(at, source)
      at += 4
    }
  }
  return sealed(bytes, view)
}

const sealed = (bytes: Uint8Array, view: DataView): Uint8Array => {
  IgmpHeader.set.checksum(view, 0, Checksum.finish(Checksum.add(0, bytes, 0, bytes.length)))
  return bytes
}
