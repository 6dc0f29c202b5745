import { assert, describe, it } from "@effect/vitest"
import * as Packet from "@strata/core/device/Packet"
import * as Checksum from "@strata/core/wire/Checksum"
import { Schema } from "effect"

const { ChecksumState, HEADROOM } = Packet

const counting = (length: number, first = 0) => Uint8Array.from({ length }, (_, index) => (first + index) & 0xff)

/** A packet whose octets are partly linear and partly elsewhere. */
const split = (linear: Uint8Array, rest: Uint8Array): Packet.Packet => {
  const packet = Packet.make(linear.length)
  packet.append(linear)
  const elsewhere = new Uint8Array(rest.length + 7).fill(0xee)
  elsewhere.set(rest, 3)
  // In three pieces, the first of which is of any length.
  const third = 3 + Math.floor(rest.length / 3)
  packet.attach(elsewhere, 3, third)
  packet.attach(elsewhere, third, third)
  packet.attach(elsewhere, third, 3 + rest.length)
  return packet
}

describe("a packet on its way down", () => {
  it("grows in front and behind", () => {
    const packet = Packet.make(8)
    assert.strictEqual(packet.length, 0)
    packet.append(counting(4))
    packet.append(counting(4, 4))
    const at = packet.push(2)
    assert.strictEqual(at, HEADROOM - 2)
    packet.view.setUint16(at, 0xabcd)
    assert.deepStrictEqual(packet.toBytes(), Uint8Array.of(0xab, 0xcd, 0, 1, 2, 3, 4, 5, 6, 7))
    assert.throws(() => packet.append(counting(1)), RangeError)
  })

  it("has room in front for the largest headers of all layers", () => {
    const packet = Packet.make(0)
    for (const size of [60, 60, 14]) packet.view.setUint8(packet.push(size), 1)
    assert.isAtLeast(packet.start, 0)
  })

  it("knows nothing any more when it is reset", () => {
    const packet = Packet.make(8)
    const fresh = { ...packet }
    packet.append(counting(8))
    packet.attach(counting(8), 1, 2)
    Object.assign(packet, {
      checksum: 2,
      checksumStart: 1,
      checksumOffset: 1,
      segmentSize: 1,
      etherType: 1,
      linkDestination: 1,
      networkStart: 1,
      source: 1,
      destination: 1,
      protocol: 1,
      timeToLive: 1,
      typeOfService: 1,
      dontFragment: true,
      networkOptions: new Uint8Array(4)
    })
    packet.reset()
    assert.deepStrictEqual({ ...packet, bytes: undefined, view: undefined }, {
      ...fresh,
      bytes: undefined,
      view: undefined
    })
  })

  it("views a slab that does not start its buffer", () => {
    const packet = new Packet.Packet(counting(20).subarray(10), 2, 6)
    assert.deepStrictEqual(packet.toBytes(), counting(4, 12))
    assert.strictEqual(packet.view.getUint8(packet.start), 12)
  })
})

describe("octets in two pieces", () => {
  it.prop("are counted, copied and summed as one", [Schema.Uint8Array, Schema.Uint8Array], ([linear, rest]) => {
    const packet = split(linear, rest)
    const whole = Uint8Array.of(...linear, ...rest)
    assert.strictEqual(packet.length, whole.length)
    assert.deepStrictEqual(packet.toBytes(), whole)
    const target = new Uint8Array(whole.length + 2)
    assert.strictEqual(packet.copyTo(target, 1), whole.length)
    assert.deepStrictEqual(target, Uint8Array.of(0, ...whole, 0))
    assert.strictEqual(packet.sum(0, packet.start), Checksum.add(0, whole, 0, whole.length))
  })

  it.prop(
    "are summed from any octet of the first one, onto any sum",
    [Schema.Uint8Array, Schema.Uint8Array, Schema.Int],
    ([linear, rest, seed]) => {
      const packet = split(linear, rest)
      const whole = Uint8Array.of(...linear, ...rest)
      const from = Math.abs(seed) % (linear.length + 1)
      assert.strictEqual(packet.sum(0x1234, packet.start + from), Checksum.add(0x1234, whole, from, whole.length))
    }
  )

  it.prop(
    "are cloned with all that is known about them",
    [Schema.Uint8Array, Schema.Uint8Array, Schema.Boolean],
    ([linear, rest, moved]) => {
      const packet = split(linear, rest)
      if (moved) packet.push(14)
      const known = {
        checksum: ChecksumState.partial,
        checksumOffset: 6,
        segmentSize: 1460,
        etherType: 0x0800,
        linkDestination: 1,
        source: 0xc000_0201,
        destination: 0xc000_0202,
        protocol: 6,
        timeToLive: 3,
        typeOfService: 4,
        dontFragment: true,
        networkOptions: counting(4)
      }
      Object.assign(packet, known, { checksumStart: packet.start + 5, networkStart: packet.start - 7 })
      const clone = packet.clone()
      assert.deepStrictEqual(clone.toBytes(), packet.toBytes())
      assert.strictEqual(clone.pieceCount, 0)
      assert.strictEqual(clone.start, HEADROOM)
      assert.deepStrictEqual({ ...clone, ...known }, { ...clone })
      assert.deepStrictEqual([clone.checksumStart - clone.start, clone.networkStart - clone.start], [5, -7])
      const before = clone.toBytes()
      packet.bytes.fill(0xff)
      for (const { bytes } of packet.pieces) bytes.fill(0xff)
      assert.deepStrictEqual(clone.toBytes(), before)
    }
  )
})

const partial = (linear: Uint8Array, rest: Uint8Array, sum: number) => {
  const packet = split(linear, rest)
  packet.checksum = ChecksumState.partial
  packet.checksumStart = packet.start + 4
  packet.checksumOffset = 6
  packet.view.setUint16(packet.start + 10, sum)
  return packet
}

describe("a partial checksum", () => {
  it.prop("is completed so that the whole sums up", [Schema.Uint8Array, Schema.Uint8Array], ([first, rest]) => {
    const pseudo = Checksum.pseudoHeader(0xc000_0201, 0xc000_0202, 17, first.length + 8 + rest.length)
    const packet = partial(Uint8Array.of(...counting(12), ...first), rest, pseudo)
    packet.completeChecksum()
    const bytes = packet.toBytes()
    assert.isTrue(Checksum.verify(Checksum.add(pseudo, bytes, 4, bytes.length)))
    assert.strictEqual(packet.checksum, ChecksumState.valid)
    packet.completeChecksum()
    assert.deepStrictEqual(packet.toBytes(), bytes)
  })

  it("of UDP that comes to zero is sent as all ones (RFC 768)", () => {
    const packet = partial(new Uint8Array(14), Uint8Array.of(0xff, 0xff), 0)
    packet.completeChecksum()
    assert.strictEqual(packet.view.getUint16(packet.start + 10), 0xffff)
  })

  it("of TCP that comes to zero is sent as zero (RFC 1624 §3)", () => {
    const packet = partial(new Uint8Array(24), Uint8Array.of(0xff, 0xff), 0)
    packet.checksumOffset = 16
    packet.completeChecksum()
    assert.strictEqual(packet.view.getUint16(packet.start + 20), 0)
  })

  it("is left alone where there is none", () => {
    for (const state of [ChecksumState.unverified, ChecksumState.valid]) {
      const packet = partial(counting(14), counting(3), 0x1234)
      packet.checksum = state
      const before = packet.toBytes()
      packet.completeChecksum()
      assert.deepStrictEqual(packet.toBytes(), before)
      assert.strictEqual(packet.checksum, state)
    }
  })
})
