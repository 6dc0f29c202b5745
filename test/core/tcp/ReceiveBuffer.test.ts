import { describe, expect, it } from "@effect/vitest"
import { ReceiveBuffer } from "@strata/core/tcp/ReceiveBuffer"
import * as Schema from "effect/Schema"

const octets = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, index) => (from + index) % 251)

const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const joined = (chunks: ReadonlyArray<Uint8Array> | undefined): Uint8Array =>
  Uint8Array.from((chunks ?? []).flatMap((chunk) => [...chunk]))

const write = (buffer: ReceiveBuffer, offset: number, bytes: Uint8Array) => buffer.write(offset, bytes, 0, bytes.length)

/** Text that arrives `offset` octets after the last one in order; or everything that is in order is taken. */
const Step = Schema.Union([
  Schema.TaggedStruct("arrive", { offset: natural(12_000), length: natural(6000) }),
  Schema.TaggedStruct("next", { length: natural(3000) }),
  Schema.TaggedStruct("short", { offset: natural(3), length: natural(100) }),
  Schema.TaggedStruct("take", {})
])

describe("ReceiveBuffer", () => {
  it.prop("does what one array with a map of what arrived would do", [Schema.Array(Step), natural(40_000)], (
    [steps, capacity]
  ) => {
    const buffer = new ReceiveBuffer(capacity)
    // Octet n of the stream is n modulo 251, so that every octet says where it belongs.
    const arrived = new Set<number>()
    let next = 0
    let taken = 0
    const slab = new Uint8Array(6100)
    const given: Array<readonly [Uint8Array, number]> = []
    const arrive = (offset: number, length: number) => {
      slab.set(octets(length, next + offset), 50)
      const kept = buffer.write(offset, slab, 50, 50 + length)
      // Who drives a device uses its memory again.
      slab.fill(255)
      expect(kept).toBe(Math.max(0, Math.min(length, capacity - (next - taken) - offset)))
      for (let at = next + offset; at < next + offset + kept; at++) arrived.add(at)
      let count = 0
      while (arrived.has(next + count)) count++
      buffer.advance(count)
      next += count
    }
    for (const step of steps) {
      if (step._tag === "arrive" || step._tag === "short") arrive(step.offset, step.length)
      else if (step._tag === "next") arrive(0, step.length)
      else {
        const chunks = buffer.take()
        expect(joined(chunks)).toEqual(octets(next - taken, taken))
        if (next === taken) expect(chunks).toBeUndefined()
        for (const chunk of chunks ?? []) {
          given.push([chunk, taken])
          taken += chunk.length
        }
      }
      expect(buffer.readable).toBe(next - taken)
      expect(buffer.memory).toBeLessThanOrEqual(capacity)
    }
    expect(joined(buffer.take())).toEqual(octets(next - taken, taken))
    for (const [chunk, at] of given) expect(chunk).toEqual(octets(chunk.length, at))
  }, { arbitrary: { runs: 300 } })

  it("gives the reader memory that nobody else has", () => {
    const buffer = new ReceiveBuffer(100_000)
    const slab = octets(3000)
    buffer.write(0, slab, 0, 1000)
    buffer.write(1000, slab, 1000, 2000)
    buffer.write(2500, slab, 2500, 3000)
    buffer.advance(2000)
    const first = buffer.take()!
    slab.fill(255)
    expect(joined(first)).toEqual(octets(2000))
    // Even a reader who gives the memory away, as a transfer to a worker does, takes nothing from the stream.
    for (const chunk of first) structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] })
    write(buffer, 0, octets(500, 2000))
    buffer.advance(1000)
    expect(joined(buffer.take())).toEqual(octets(1000, 2000))
  })

  it.each([10, 64, 65, 9000])("gives %i octets that arrived in a Buffer as a copy of their own", (length) => {
    const buffer = new ReceiveBuffer(100_000)
    const slab = Buffer.from(octets(length + 5))
    buffer.write(0, slab, 5, 5 + length)
    slab.fill(255)
    buffer.advance(length)
    expect(buffer.take()).toEqual([octets(length, 5)])
  })

  it("gives what is in order of a text that is not all so yet", () => {
    const buffer = new ReceiveBuffer(100_000)
    write(buffer, 0, octets(100))
    buffer.advance(40)
    expect(buffer.take()).toEqual([octets(40)])
    write(buffer, 60, octets(10, 100))
    buffer.advance(70)
    expect(joined(buffer.take())).toEqual(octets(70, 40))
  })

  it("forgets a single text, too", () => {
    const buffer = new ReceiveBuffer(100_000)
    write(buffer, 0, octets(10))
    buffer.advance(10)
    buffer.clear()
    expect([buffer.readable, buffer.memory]).toEqual([0, 0])
    write(buffer, 0, octets(10, 10))
    buffer.advance(10)
    expect(buffer.take()).toEqual([octets(10, 10)])
  })

  it("joins what arrives in order into pages that grow", () => {
    const buffer = new ReceiveBuffer(1_000_000)
    for (let index = 0; index < 200; index++) {
      write(buffer, 0, octets(1460, index * 1460))
      buffer.advance(1460)
    }
    const chunks = buffer.take()!
    expect(joined(chunks)).toEqual(octets(200 * 1460))
    expect(chunks.length).toBeLessThan(12)
    expect(Math.max(...chunks.map((chunk) => chunk.length))).toBe(65_536)
  })

  it("takes no more memory than a lone small segment needs", () => {
    const buffer = new ReceiveBuffer(100_000)
    write(buffer, 0, octets(10))
    expect(buffer.memory).toBe(10)
    buffer.advance(10)
    expect(buffer.take()!.map((chunk) => chunk.buffer.byteLength)).toEqual([10])
    expect(buffer.memory).toBe(0)
  })

  it("spends no memory on a gap", () => {
    const buffer = new ReceiveBuffer(1_000_000)
    write(buffer, 900_000, octets(10))
    expect(buffer.memory).toBe(10)
  })

  it("keeps nothing beyond its capacity", () => {
    const buffer = new ReceiveBuffer(1000)
    expect(write(buffer, 0, octets(600))).toBe(600)
    buffer.advance(600)
    expect(write(buffer, 0, octets(600))).toBe(400)
    expect(write(buffer, 400, octets(1))).toBe(0)
    expect(write(buffer, 4_000_000_000, octets(1))).toBe(0)
    buffer.advance(400)
    expect(joined(buffer.take())).toEqual(Uint8Array.from([...octets(600), ...octets(400)]))
  })
})
