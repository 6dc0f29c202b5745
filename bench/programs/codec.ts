/**
 * Header accessors beside the `DataView` calls they stand for, and the checksum beside its definition.
 */
import { ArpHeader } from "@strata/core/wire/ArpHeader"
import * as Checksum from "@strata/core/wire/Checksum"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as TcpOptions from "@strata/core/wire/TcpOptions"
import * as Schema from "effect/Schema"
import { costOf, main } from "../support/program.ts"

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

const REPEATS = 1000

/** What was read, kept so that nothing is optimised away. */
let kept = 0
const overAll = (read: (at: number) => number) => (seconds: number) => {
  const figure = costOf(REPEATS * SEGMENTS, () => {
    let sum = 0
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      for (let at = 0; at < slab.length; at += SLOT) sum += read(at)
    }
    kept = sum
  }, seconds)
  if (kept === 0) throw new Error("nothing was read")
  return figure
}

const options = new TcpOptions.ParsedOptions()
const decode = Schema.decodeSync(TcpOptions.schema)

const byPairs = (start: number, end: number): number => {
  let sum = 0
  for (let at = start; at < end; at += 2) sum += (slab[at]! << 8) | slab[at + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

const checksums = (length: number) => ({
  [`checksum of ${length}, by words`]: overAll((at) => checksum(0, slab, at + 54, at + 54 + length)),
  [`checksum of ${length}, by pairs`]: overAll((at) => byPairs(at + 54, at + 54 + length))
})

await main({
  "tcp header, accessors": overAll((at) =>
    tcp.sourcePort(view, at) + tcp.destinationPort(view, at) + tcp.sequence(view, at) +
    tcp.acknowledgement(view, at) + tcp.headerWords(view, at) + tcp.flags(view, at) + tcp.window(view, at) +
    tcp.checksum(view, at) + tcp.urgentPointer(view, at)
  ),
  "tcp header, by hand": overAll((at) =>
    view.getUint16(at) + view.getUint16(at + 2) + view.getUint32(at + 4) + view.getUint32(at + 8) +
    (view.getUint8(at + 12) >>> 4) + view.getUint8(at + 13) + view.getUint16(at + 14) + view.getUint16(at + 16) +
    view.getUint16(at + 18)
  ),
  "arp header, accessors": overAll((at) => arp.senderHardware(view, at) + arp.targetHardware(view, at)),
  "arp header, by hand": overAll((at) =>
    view.getUint16(at + 8) * 0x1_0000_0000 + view.getUint32(at + 10) +
    view.getUint16(at + 18) * 0x1_0000_0000 + view.getUint32(at + 20)
  ),
  "tcp options, parse": overAll((at) => parse(view, at + 20, at + 32, options) ? options.timestamps!.value : 0),
  "tcp options, codec": overAll((at) => decode(slab.subarray(at + 20, at + 32)).length),
  ...checksums(20),
  ...checksums(1460)
})
