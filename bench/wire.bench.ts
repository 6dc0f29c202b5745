/**
 * Header accessors beside the `DataView` calls they stand for, and the checksum beside its definition.
 */
import { ArpHeader } from "@strata/core/wire/ArpHeader"
import * as Checksum from "@strata/core/wire/Checksum"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as TcpOptions from "@strata/core/wire/TcpOptions"
import { Schema } from "effect"
import { test } from "vitest"

const tcp = TcpHeader.get
const arp = ArpHeader.get
const { add: checksum } = Checksum
const { parse } = TcpOptions

/** Segments one behind the other, so that nothing can be read once and for all. */
const SEGMENTS = 64
const SLOT = 2048
const slab = Uint8Array.from({ length: SEGMENTS * SLOT }, (_, index) => Math.imul(index, 0x9e37_79b1) >>> 24)
const view = new DataView(slab.buffer)
for (let at = 0; at < slab.length; at += SLOT) view.setUint32(at + 20, 0x0101_080a)

/** The sum of what `read` gives for every segment, kept so that nothing is optimised away. */
let kept = 0
const overAll = (read: (at: number) => number) => () => {
  let sum = 0
  for (let at = 0; at < slab.length; at += SLOT) sum += read(at)
  kept = sum
}

test("TCP header, 64 times nine fields", async ({ bench }) => {
  await bench.compare(
    bench(
      "accessors",
      overAll((at) =>
        tcp.sourcePort(view, at) + tcp.destinationPort(view, at) + tcp.sequence(view, at) +
        tcp.acknowledgement(view, at) + tcp.headerWords(view, at) + tcp.flags(view, at) + tcp.window(view, at) +
        tcp.checksum(view, at) + tcp.urgentPointer(view, at)
      )
    ),
    bench(
      "by hand",
      overAll((at) =>
        view.getUint16(at) + view.getUint16(at + 2) + view.getUint32(at + 4) + view.getUint32(at + 8) +
        (view.getUint8(at + 12) >>> 4) + view.getUint8(at + 13) + view.getUint16(at + 14) + view.getUint16(at + 16) +
        view.getUint16(at + 18)
      )
    )
  )
})

test("ARP header, 64 times both hardware addresses", async ({ bench }) => {
  await bench.compare(
    bench("accessors", overAll((at) => arp.senderHardware(view, at) + arp.targetHardware(view, at))),
    bench(
      "by hand",
      overAll((at) =>
        view.getUint16(at + 8) * 0x1_0000_0000 + view.getUint32(at + 10) +
        view.getUint16(at + 18) * 0x1_0000_0000 + view.getUint32(at + 20)
      )
    )
  )
})

test("timestamps option, 64 times", async ({ bench }) => {
  const options = new TcpOptions.ParsedOptions()
  const decode = Schema.decodeSync(TcpOptions.schema)
  await bench.compare(
    bench(
      "parse",
      overAll((at) => parse(view, at + 20, at + 32, options) ? options.timestamps!.value : 0)
    ),
    bench("codec", overAll((at) => decode(slab.subarray(at + 20, at + 32)).length))
  )
})

const byPairs = (start: number, end: number): number => {
  let sum = 0
  for (let at = start; at < end; at += 2) sum += (slab[at]! << 8) | slab[at + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

for (const length of [20, 1460]) {
  test(`checksum of ${length} octets, 64 times`, async ({ bench }) => {
    await bench.compare(
      bench("by words", overAll((at) => checksum(0, slab, at + 54, at + 54 + length))),
      bench("by pairs", overAll((at) => byPairs(at + 54, at + 54 + length)))
    )
  })
}

test("something was read", ({ expect }) => expect(kept).toBeGreaterThan(0))
