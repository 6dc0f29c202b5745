import { describe, expect, it } from "@effect/vitest"
import * as Packet from "@strata/core/device/Packet"
import { REFERRED, SendBuffer, SPARES } from "@strata/core/tcp/SendBuffer"
import * as Schema from "effect/Schema"

const octets = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, index) => (from + index) % 251)

const laid = (buffer: SendBuffer, offset: number, count: number): Uint8Array => {
  const packet = Packet.make(65_536)
  buffer.lay(packet, offset, count)
  return packet.toBytes()
}

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Step = Schema.Union([
  Schema.TaggedStruct("write", { length: natural(200_000) }),
  Schema.TaggedStruct("writeLittle", { length: natural(3000), times: natural(40) }),
  Schema.TaggedStruct("writePart", { before: natural(200), length: natural(5000), behind: natural(200) }),
  Schema.TaggedStruct("release", { share: natural(100) }),
  Schema.TaggedStruct("lay", { from: natural(100), length: natural(65_000) })
])

describe("SendBuffer", () => {
  it.prop("does what one long array would do", [Schema.Array(Step), natural(500_000), Schema.Boolean], (
    [steps, capacity, copies]
  ) => {
    const buffer = new SendBuffer(capacity, copies)
    let longest = 0
    // Octet n of the stream is n modulo 251, so that every octet says where it belongs.
    let released = 0
    let written = 0
    const write = (length: number) => {
      const count = buffer.write(octets(length, written))
      // Of a chunk that did not fit as a whole, all is held.
      if (!copies) longest = Math.max(longest, length)
      expect(count).toBe(Math.min(length, capacity - (written - released)))
      written += count
    }
    const writePart = (before: number, length: number, behind: number) => {
      const count = buffer.write(octets(before + length + behind, written - before + 251), before, length)
      if (!copies) longest = Math.max(longest, before + length + behind)
      expect(count).toBe(Math.min(length, capacity - (written - released)))
      written += count
    }
    const holds = (offset: number, count: number) => {
      const text = laid(buffer, offset, count)
      expect(Buffer.compare(text, octets(count, released + offset))).toBe(0)
    }
    for (const step of steps) {
      const length = written - released
      if (step._tag === "write") write(step.length)
      else if (step._tag === "writeLittle") { for (let time = 0; time < step.times; time++) write(step.length) }
      else if (step._tag === "writePart") writePart(step.before, step.length, step.behind)
      else if (step._tag === "release") {
        const count = Math.floor(length * step.share / 100)
        buffer.release(count)
        released += count
      } else {
        const offset = Math.floor(length * step.from / 100)
        holds(offset, Math.min(length - offset, step.length))
      }
      expect(buffer.queued).toBe(written - released)
      expect(buffer.free).toBe(capacity - buffer.queued)
      // From the end: where the last look ended must not matter.
      for (let offset = Math.floor(buffer.queued / 50_000) * 50_000; offset >= 0; offset -= 50_000) {
        holds(offset, Math.min(buffer.queued - offset, 50_000))
      }
      const last = Math.min(1000, buffer.queued)
      holds(buffer.queued - last, last)
      expect(buffer.memory).toBeLessThanOrEqual(
        buffer.queued === 0 ? 0 : buffer.queued + (SPARES + 2) * 65_536 + 2 * longest
      )
    }
  }, { arbitrary: { runs: 200 } })

  it("refers to a large chunk, and never writes into it", () => {
    const buffer = new SendBuffer(100_000)
    const chunk = octets(REFERRED + 100)
    expect(buffer.write(chunk, 0, REFERRED)).toBe(REFERRED)
    buffer.write(octets(50, REFERRED))
    expect(chunk).toEqual(octets(REFERRED + 100))
    const packet = Packet.make(2000)
    buffer.lay(packet, 1000, 1460)
    expect(packet.pieces[0]!.bytes).toBe(chunk)
    expect(laid(buffer, 0, REFERRED + 50)).toEqual(octets(REFERRED + 50))
  })

  it("goes on with the rest of a chunk in the same piece", () => {
    const buffer = new SendBuffer(100_000)
    const chunk = octets(20_000)
    for (let at = 0; at < 20_000; at += 1000) buffer.write(chunk, at, 1000)
    const packet = Packet.make(2000)
    buffer.lay(packet, 0, 20_000)
    expect(packet.pieceCount).toBe(1)
  })

  it("lets go of a chunk once all of it is acknowledged, and never uses it as a page", () => {
    const buffer = new SendBuffer(200_000)
    const chunk = octets(65_536)
    buffer.write(chunk)
    buffer.write(octets(10))
    buffer.release(65_535)
    expect(buffer.memory).toBeGreaterThanOrEqual(65_536)
    buffer.release(1)
    expect(buffer.memory).toBeLessThan(65_536)
    buffer.write(octets(3000))
    expect(chunk).toEqual(octets(65_536))
  })

  it("copies a small chunk, and every one where it is told to", () => {
    for (const buffer of [new SendBuffer(100_000), new SendBuffer(100_000, true)]) {
      const bytes = octets(REFERRED - 1)
      buffer.write(bytes)
      bytes.fill(255)
      expect(laid(buffer, 0, bytes.length)).toEqual(octets(bytes.length))
    }
    const copying = new SendBuffer(100_000, true)
    const large = octets(50_000)
    copying.write(large)
    large.fill(255)
    expect(laid(copying, 0, 50_000)).toEqual(octets(50_000))
  })

  it("keeps its own copy", () => {
    const buffer = new SendBuffer(100)
    const bytes = octets(10)
    buffer.write(bytes)
    bytes.fill(255)
    expect(laid(buffer, 0, 10)).toEqual(octets(10))
  })

  it("takes octets from the middle of what it is given, up to its capacity", () => {
    const buffer = new SendBuffer(5)
    expect(buffer.write(octets(10), 3)).toBe(5)
    expect(buffer.write(octets(10), 8)).toBe(0)
    expect(laid(buffer, 0, 5)).toEqual(octets(5, 3))
  })

  it("attaches a text that stands in one piece, without copying", () => {
    const buffer = new SendBuffer(100_000)
    buffer.write(octets(10_000))
    const packet = Packet.make(2000)
    buffer.lay(packet, 1460, 1460)
    expect(packet.end - packet.start).toBe(0)
    expect([packet.pieceCount, packet.payloadLength]).toEqual([1, 1460])
    const again = Packet.make(2000)
    buffer.lay(again, 2920, 1460)
    expect(again.pieces[0]!.bytes).toBe(packet.pieces[0]!.bytes)
  })

  it("attaches a text that spans pieces, one after the other", () => {
    const buffer = new SendBuffer(100_000)
    buffer.write(octets(1000))
    buffer.write(octets(1000, 1000))
    const packet = Packet.make(2000)
    buffer.lay(packet, 500, 1000)
    expect([packet.end - packet.start, packet.pieceCount, packet.payloadLength]).toEqual([0, 2, 1000])
    expect(packet.toBytes()).toEqual(octets(1000, 500))
  })

  it("puts small writes together", () => {
    const buffer = new SendBuffer(100_000)
    for (let index = 0; index < 1000; index++) buffer.write(octets(10, index * 10))
    // All but the first share pages of 2, 4 and 8 KiB.
    let pieces = new Set<Uint8Array>()
    for (let offset = 0; offset < 10_000; offset += 10) {
      const packet = Packet.make(100)
      buffer.lay(packet, offset, 1)
      pieces = pieces.add(packet.pieces[0]!.bytes)
    }
    expect(pieces.size).toBe(4)
    expect([...pieces].reduce((sum, piece) => sum + piece.length, 0)).toBe(10 + 2048 + 4096 + 8192)
  })
})
