import { assert, describe, it } from "@effect/vitest"
import * as Checksum from "@strata/core/wire/Checksum"
import { Schema } from "effect"

/** The definition (RFC 1071 §1), octet by octet: the one's complement sum of 16-bit words in network order. */
const naive = (bytes: ArrayLike<number>, initial = 0): number => {
  let sum = initial
  for (let at = 0; at < bytes.length; at++) {
    sum += at % 2 === 0 ? bytes[at]! * 256 : bytes[at]!
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

/** Octets with long runs of ones and of zeros among them, where carries and empty sums are. */
const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => {
    const mixed = Math.imul(index + seed, 0x9e37_79b1) >>> 0
    return (mixed & 0x300) === 0 ? 0xff : (mixed & 0x300) === 0x100 ? 0 : mixed >>> 24
  })

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("Checksum", () => {
  it("sums the example of RFC 1071 §3", () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
    assert.strictEqual(Checksum.add(0, bytes, 0, bytes.length), 0xddf2)
  })

  it("is the definition for every alignment and every length up to 300, in slabs that start anywhere", () => {
    const slab = pattern(400, 3)
    for (let base = 0; base < 4; base++) {
      const bytes = slab.subarray(base)
      for (let start = 0; start < 8; start++) {
        for (let length = 0; length <= 300; length++) {
          const expected = naive(bytes.subarray(start, start + length), 0x1234)
          const sum = Checksum.add(0x1234, bytes, start, start + length)
          if (sum !== expected) assert.fail(`base ${base}, start ${start}, length ${length}: ${sum}, not ${expected}`)
        }
      }
    }
  })

  it.prop(
    "is the definition for packets of any size",
    { length: integer(0, 65535), start: integer(0, 7), seed: integer(0, 1_000_000), initial: integer(0, 0xffff) },
    ({ initial, length, seed, start }) => {
      const bytes = pattern(start + length, seed)
      assert.strictEqual(Checksum.add(initial, bytes, start, start + length), naive(bytes.subarray(start), initial))
    }
  )

  it("loses no carry where all octets are ones, up to the largest packet", () => {
    const bytes = new Uint8Array(0x1_0000).fill(0xff)
    for (const length of [1, 2, 63, 64, 65, 1460, 65534, 65535, 65536]) {
      assert.strictEqual(Checksum.add(0xffff, bytes, 0, length), length % 2 === 0 ? 0xffff : 0xff00, `length ${length}`)
    }
  })

  it("looks at nothing outside the range", () => {
    for (const length of [5, 20, 100, 1461]) {
      for (let start = 0; start < 4; start++) {
        const bytes = new Uint8Array(start + length + 4).fill(0xff)
        bytes.fill(0, start, start + length)
        assert.strictEqual(Checksum.add(0, bytes, start, start + length), 0)
      }
    }
  })

  it.prop(
    "sums of pieces add up; a piece behind an odd length is swapped",
    { bytes: Schema.Uint8Array, at: integer(0, 1000) },
    ({ at, bytes }) => {
      const cut = Math.min(at, bytes.length)
      const tail = Checksum.add(0, bytes, cut, bytes.length)
      const pieces = Checksum.addWord(Checksum.add(0, bytes, 0, cut), cut % 2 === 0 ? tail : Checksum.swap(tail))
      assert.strictEqual(pieces, Checksum.add(0, bytes, 0, bytes.length))
    }
  )

  it.prop("verifies what it finished, and notices every flipped bit", {
    bytes: Schema.Uint8Array.check(Schema.isMinLength(2)),
    bit: integer(0, 1_000_000)
  }, ({ bit, bytes }) => {
    const packet = bytes.slice(0, bytes.length & ~1)
    const view = new DataView(packet.buffer)
    view.setUint16(0, 0)
    view.setUint16(0, Checksum.finish(Checksum.add(0, packet, 0, packet.length)))
    assert.isTrue(Checksum.verify(Checksum.add(0, packet, 0, packet.length)))
    packet[(bit >>> 3) % packet.length]! ^= 1 << (bit & 7)
    assert.isFalse(Checksum.verify(Checksum.add(0, packet, 0, packet.length)))
  })

  it.prop(
    "the pseudo-header is the sum of its octets (RFC 768)",
    { source: integer(0, 0xffff_ffff), destination: integer(0, 0xffff_ffff), length: integer(0, 0xffff) },
    ({ destination, length, source }) => {
      const view = new DataView(new ArrayBuffer(12))
      view.setUint32(0, source)
      view.setUint32(4, destination)
      view.setUint8(9, 17)
      view.setUint16(10, length)
      assert.strictEqual(Checksum.pseudoHeader(source, destination, 17, length), naive(new Uint8Array(view.buffer)))
    }
  )
})
