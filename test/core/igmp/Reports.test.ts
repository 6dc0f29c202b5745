import { assert, describe, it } from "@effect/vitest"
import type { GroupRecord } from "@strata/core/igmp/Memberships"
import { encode } from "@strata/core/igmp/Reports"
import { fromIpv4 } from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import { IgmpRecordType } from "@strata/core/wire/IgmpHeader"
import * as IgmpMessage from "@strata/core/wire/IgmpMessage"
import { Schema } from "effect"

const GROUP = 0xef01_0203
const decode = Schema.decodeSync(IgmpMessage.schema)

/** The records of several reports, with the number of their sources. */
const recordsOf = (records: ReadonlyArray<GroupRecord>, capacity: number) =>
  encode({ _tag: "ReportV3", records }, capacity).map(({ bytes }) => {
    assert.isAtMost(bytes.length, capacity)
    assert.isTrue(Checksum.verify(Checksum.add(0, bytes, 0, bytes.length)))
    const message = decode(bytes)
    assert(message._tag === "ReportV3")
    return message.records.map(({ sources, type }) => [type, ...sources.map(fromIpv4)])
  })

const sources = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

const record = (type: number, ...list: ReadonlyArray<number>): GroupRecord => ({
  type,
  group: GROUP,
  sources: list
})

describe("reports", () => {
  it("of older versions go to the group, leaves to all routers", () => {
    for (
      const [tag, destination, hex] of [
        ["ReportV1", GROUP, "1200fcfa"],
        ["ReportV2", GROUP, "1600f8fa"],
        ["Leave", 0xe000_0002, "1700f7fa"]
      ] as const
    ) {
      const [outgoing, ...more] = encode({ _tag: tag, group: GROUP }, 44)
      assert.deepStrictEqual(more, [])
      assert.strictEqual(outgoing!.destination, destination)
      assert.isTrue(Checksum.verify(Checksum.add(0, outgoing!.bytes, 0, 8)))
      assert.strictEqual(Buffer.from(outgoing!.bytes).toString("hex"), `${hex}ef010203`)
    }
  })

  it("of version 3 take as many records as fit", () => {
    const three = [record(4), record(5, 1, 2), record(6, 3)]
    assert.deepStrictEqual(recordsOf(three, 44), [[[4], [5, 1, 2], [6, 3]]])
    assert.deepStrictEqual(recordsOf(three, 43), [[[4], [5, 1, 2]], [[6, 3]]])
    assert.deepStrictEqual(encode({ _tag: "ReportV3", records: three }, 44)[0]!.destination, 0xe000_0016)
    assert.deepStrictEqual(recordsOf([], 44), [])
  })

  it("of version 3 cut lists that do not fit without a change of their meaning (RFC 9776 §4.2.16)", () => {
    const { allow, block, isExclude, isInclude, toExclude, toInclude } = IgmpRecordType
    const list = sources(1, 10)
    for (const type of [allow, block, isInclude]) {
      assert.deepStrictEqual(recordsOf([{ type, group: GROUP, sources: list }], 44), [
        [[type, ...sources(1, 7)]],
        [[type, ...sources(8, 10)]]
      ])
    }
    for (const type of [isExclude, toExclude]) {
      assert.deepStrictEqual(recordsOf([{ type, group: GROUP, sources: list }], 44), [[[type, ...sources(1, 7)]]])
    }
    assert.deepStrictEqual(recordsOf([{ type: toInclude, group: GROUP, sources: list }], 44), [
      [[toInclude, ...sources(1, 7)]],
      [[allow, ...sources(8, 10)]]
    ])
  })
})
