/**
 * Whatever arrives in whatever order: the right bytes, or none.
 */
import { assert, describe, it } from "@effect/vitest"
import { Packet } from "@strata/core/device/Packet"
import { type Discarded, type Options, Reassembly } from "@strata/core/ip/Reassembly"
import { Ipv4Header } from "@strata/core/wire/Ipv4Header"
import { Schema } from "effect"
import { packet, type PacketOptions, parse, pattern, raw } from "../../support/internet.ts"

/** A fragment as IPv4 hands it over. */
const fragmentOf = (options: PacketOptions, bytes = packet(options)): Packet => {
  const fragment = new Packet(bytes)
  fragment.networkStart = 0
  fragment.start = 4 * Ipv4Header.get.headerWords(fragment.view, 0)
  fragment.source = Ipv4Header.get.source(fragment.view, 0)
  fragment.destination = Ipv4Header.get.destination(fragment.view, 0)
  fragment.protocol = Ipv4Header.get.protocol(fragment.view, 0)
  fragment.typeOfService = bytes[1]!
  return fragment
}

const payloadOf = (whole: Packet | undefined): Uint8Array | undefined => whole?.toBytes()

const setup = (options: Omit<Options, "discarded"> = {}) => {
  const discarded: Array<Discarded> = []
  const firsts: Array<Packet | undefined> = []
  const reassembly = new Reassembly({
    ...options,
    discarded: (reason, first) => {
      discarded.push(reason)
      firsts.push(first)
    }
  })
  return { reassembly, discarded, firsts }
}

/** `payload` cut at the given units of eight octets. */
const cut = (payload: Uint8Array, units: ReadonlyArray<number>, options: PacketOptions = {}): Array<PacketOptions> => {
  const inner = units.map((unit) => unit * 8).filter((at) => at > 0 && at < payload.length)
  const bounds = [0, ...new Set(inner.toSorted((a, b) => a - b)), payload.length]
  return bounds.slice(1).map((end, index) => ({
    ...options,
    offset: bounds[index]!,
    moreFragments: end < payload.length,
    body: payload.subarray(bounds[index], end)
  }))
}

/** The same items in an order that `keys` decides. */
const shuffle = <A>(items: ReadonlyArray<A>, keys: ReadonlyArray<number>): Array<A> =>
  items
    .map((item, index) => ({ item, key: keys.length === 0 ? 0 : keys[index % keys.length]! * (index + 1) % 97 }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item)

const Length = Schema.Int.check(Schema.isBetween({ minimum: 9, maximum: 3000 }))
const Units = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 375 })))
const Keys = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 96 })))

describe("Reassembly", () => {
  it.prop(
    "restores any payload, however it was cut, in any order, with copies of fragments",
    { length: Length, units: Units, keys: Keys, copies: Keys },
    ({ copies, keys, length, units }) => {
      const { discarded, reassembly } = setup()
      const payload = pattern(length)
      const fragments = cut(payload, units, { identification: 7, options: [1, 1, 1, 0] })
      const order = shuffle(fragments, keys)
      const last = order.pop()!
      for (const copy of copies) {
        order.splice(copy % (order.length + 1), 0, ...order.slice(copy % (order.length + 1), 1))
      }
      for (const fragment of order) {
        assert.isUndefined(reassembly.add(fragmentOf(fragment), 0))
        assert.isUndefined(reassembly.add(fragmentOf(fragment), 0))
      }
      const whole = reassembly.add(fragmentOf(last), 0)
      assert.deepStrictEqual(payloadOf(whole), payload)
      assert.deepStrictEqual(discarded, [])
      assert.strictEqual(reassembly.octets, 0)
      assert.strictEqual(reassembly.size, 0)
    }
  )

  it("keeps fragments when their memory is used again, a Buffer's too", () => {
    const { reassembly } = setup()
    const payload = pattern(64)
    const [head, tail] = cut(payload, [4])
    const memory = Buffer.from(packet(head!))
    assert.isUndefined(reassembly.add(fragmentOf(head!, memory), 0))
    memory.fill(0xee)
    assert.deepStrictEqual(payloadOf(reassembly.add(fragmentOf(tail!), 0)), payload)
  })

  it.prop(
    "gives nothing rather than wrong bytes when a fragment overlaps what is there",
    { length: Length, units: Units, keys: Keys, start: Length, size: Length, later: Length },
    ({ keys, later, length, size, start, units }) => {
      const { discarded, reassembly } = setup()
      const payload = pattern(length)
      const order = shuffle(cut(payload, units), keys)
      const offset = (start % length) & ~7
      const forgery = { offset, moreFragments: true, body: new Uint8Array(Math.max(8, size & ~7)).fill(0xee) }
      const met = order.findIndex((real) => {
        const end = real.offset! + real.body!.length
        return real.offset! < offset + forgery.body.length && end > offset
      })
      const at = Math.min(met + 1 + later % order.length, order.length)
      const before = order.slice(0, at).map((real) => reassembly.add(fragmentOf(real), 0))
      if (at < order.length) {
        assert.isTrue(before.every((whole) => whole === undefined))
        reassembly.add(fragmentOf(forgery), 0)
        assert.strictEqual(discarded.length, 1)
        for (const real of order.slice(at)) assert.isUndefined(reassembly.add(fragmentOf(real), 0))
      } else {
        assert.deepStrictEqual(payloadOf(before.at(-1)), payload)
      }
    }
  )

  it("describes the whole as if it had arrived in one piece", () => {
    const { reassembly } = setup()
    const options = { identification: 9, options: [148, 4, 0, 0], typeOfService: 0x28, timeToLive: 3 }
    const [first, second] = cut(pattern(24), [2], options)
    assert.isUndefined(reassembly.add(fragmentOf({ ...second!, options: [] }), 0))
    const whole = reassembly.add(fragmentOf(first!), 0)!
    const seen = parse(whole.bytes.slice(whole.networkStart, whole.end))
    assert.deepInclude(seen, {
      identification: 9,
      offset: 0,
      moreFragments: false,
      typeOfService: 0x28,
      timeToLive: 3,
      body: pattern(24),
      options: Uint8Array.of(148, 4, 0, 0)
    })
    assert.strictEqual(whole.source, raw("192.0.2.1"))
    assert.strictEqual(whole.protocol, 17)
    assert.strictEqual(whole.typeOfService, 0x28)
  })

  it("keeps datagrams of different senders, receivers, protocols and identifications apart", () => {
    const { discarded, reassembly } = setup()
    const [first, second] = cut(pattern(16), [1])
    const others: ReadonlyArray<PacketOptions> = [
      { source: "192.0.2.9" },
      { destination: "192.0.2.9" },
      { protocol: 6 },
      { identification: 1 }
    ]
    reassembly.add(fragmentOf(first!), 0)
    for (const other of others) assert.isUndefined(reassembly.add(fragmentOf({ ...second!, ...other }), 0))
    assert.deepStrictEqual(payloadOf(reassembly.add(fragmentOf(second!), 0)), pattern(16))
    assert.deepStrictEqual(discarded, [])
    assert.strictEqual(reassembly.size, 4)
  })

  it.each([
    ["the same place with other bytes", { offset: 8, body: new Uint8Array(8), moreFragments: true }],
    ["the end of the one before", { offset: 0, body: pattern(16), moreFragments: true }],
    ["the start of the one behind", { offset: 8, body: new Uint8Array(16), moreFragments: true }],
    ["all of another", { offset: 0, body: new Uint8Array(64), moreFragments: true }]
  ])("gives a datagram up when a fragment covers %s", (_, overlapping) => {
    const { discarded, reassembly } = setup()
    reassembly.add(fragmentOf({ offset: 8, body: pattern(8), moreFragments: true }), 0)
    reassembly.add(fragmentOf(overlapping), 0)
    assert.deepStrictEqual(discarded, ["fragmentOverlap"])
    assert.strictEqual(reassembly.octets, 0)
  })

  it.each([
    ["two ends", [{ offset: 16, body: pattern(8) }, { offset: 32, body: pattern(8) }]],
    ["an end before what is there", [{ offset: 16, body: pattern(8), moreFragments: true }, {
      offset: 8,
      body: pattern(8)
    }]],
    ["a middle behind the end", [{ offset: 8, body: pattern(8) }, {
      offset: 16,
      body: pattern(8),
      moreFragments: true
    }]],
    ["a middle that reaches the end", [{ offset: 16, body: pattern(8) }, {
      offset: 0,
      body: pattern(8),
      moreFragments: true
    }, { offset: 24, body: pattern(8), moreFragments: true }]]
  ] as ReadonlyArray<readonly [string, ReadonlyArray<PacketOptions>]>)(
    "gives a datagram up that has %s",
    (_, fragments) => {
      const { discarded, reassembly } = setup()
      for (const fragment of fragments) assert.isUndefined(reassembly.add(fragmentOf(fragment), 0))
      assert.deepStrictEqual(discarded, ["fragmentInconsistent"])
      assert.strictEqual(reassembly.size, 0)
    }
  )

  it("refuses fragments that are empty or end between units", () => {
    const { discarded, reassembly } = setup()
    reassembly.add(fragmentOf({ offset: 8, body: pattern(0), moreFragments: true }), 0)
    reassembly.add(fragmentOf({ offset: 8, body: pattern(0) }), 0)
    reassembly.add(fragmentOf({ offset: 0, body: pattern(12), moreFragments: true }), 0)
    assert.deepStrictEqual(discarded, ["fragmentMisaligned", "fragmentMisaligned", "fragmentMisaligned"])
    assert.strictEqual(reassembly.size, 0)
  })

  it("takes a datagram of 65,535 octets, and none beyond", () => {
    const { discarded, reassembly } = setup()
    const payload = pattern(65_515)
    let whole: Packet | undefined
    for (const fragment of cut(payload, Array.from({ length: 64 }, (_, index) => index * 128))) {
      whole = reassembly.add(fragmentOf(fragment), 0)
    }
    assert.deepStrictEqual(payloadOf(whole), payload)
    assert.strictEqual(Ipv4Header.get.totalLength(whole!.view, whole!.networkStart), 65_535)
    reassembly.add(fragmentOf({ offset: 65_512, body: pattern(4) }), 0)
    reassembly.add(fragmentOf({ offset: 65_512, body: pattern(1480), identification: 1 }), 0)
    assert.deepStrictEqual(discarded, ["fragmentTooLong", "fragmentTooLong"])
    assert.strictEqual(reassembly.size, 0)
  })

  it("refuses a whole that is too long with the options of its first fragment", () => {
    const { discarded, reassembly } = setup()
    reassembly.add(fragmentOf({ offset: 65_504, body: pattern(11) }), 0)
    const fragments = cut(pattern(65_504), Array.from({ length: 64 }, (_, index) => index * 128), {
      options: [1, 1, 1, 0]
    })
    for (const fragment of fragments) {
      assert.isUndefined(reassembly.add(fragmentOf({ ...fragment, moreFragments: true }), 0))
    }
    assert.deepStrictEqual(discarded, ["fragmentTooLong"])
  })

  it("puts the smallest fragments together", () => {
    const { reassembly } = setup()
    const payload = pattern(8000)
    let whole: Packet | undefined
    const fragments = cut(payload, Array.from({ length: 1000 }, (_, index) => index))
    assert.strictEqual(fragments.length, 1000)
    for (const fragment of fragments.toReversed()) whole = reassembly.add(fragmentOf(fragment), 0)
    assert.deepStrictEqual(payloadOf(whole), payload)
  })

  it("gives a datagram up after thirty seconds, with its first fragment where it came", () => {
    const { discarded, firsts, reassembly } = setup()
    assert.strictEqual(reassembly.deadline, Infinity)
    reassembly.add(fragmentOf({ offset: 0, body: pattern(8), moreFragments: true }), 1000)
    reassembly.add(fragmentOf({ offset: 8, body: pattern(8), moreFragments: true, identification: 1 }), 2000)
    reassembly.add(fragmentOf({ offset: 8, body: pattern(8), moreFragments: true }), 20_000)
    assert.strictEqual(reassembly.deadline, 31_000)
    reassembly.expire(30_999)
    assert.deepStrictEqual(discarded, [])
    reassembly.expire(31_000)
    assert.deepStrictEqual(discarded, ["reassemblyTimeout"])
    assert.deepStrictEqual(parse(firsts[0]!.toBytes()).body, pattern(8))
    reassembly.expire(32_000)
    assert.deepStrictEqual(discarded, ["reassemblyTimeout", "reassemblyTimeout"])
    assert.isUndefined(firsts[1])
    assert.strictEqual(reassembly.octets, 0)
  })

  it("starts anew after it gave up", () => {
    const { reassembly } = setup()
    const [first, second] = cut(pattern(16), [1])
    reassembly.add(fragmentOf(first!), 0)
    reassembly.expire(30_000)
    assert.isUndefined(reassembly.add(fragmentOf(second!), 30_001))
    assert.deepStrictEqual(payloadOf(reassembly.add(fragmentOf(first!), 30_002)), pattern(16))
  })

  it("gives up the oldest when there are too many datagrams", () => {
    const { discarded, firsts, reassembly } = setup({ datagrams: 2 })
    for (const identification of [1, 2, 3]) {
      reassembly.add(fragmentOf({ identification, body: pattern(8), moreFragments: true }), identification)
    }
    assert.deepStrictEqual(discarded, ["reassemblyFull"])
    assert.strictEqual(parse(firsts[0]!.toBytes()).identification, 1)
    assert.strictEqual(reassembly.size, 2)
  })

  it("never keeps more octets than it may, whatever is thrown at it", () => {
    const limit = 64 * 1024
    const { discarded, reassembly } = setup({ octets: limit })
    let highest = 0
    for (let identification = 0; identification < 2000; identification++) {
      const offset = identification % 3 * 800
      reassembly.add(
        fragmentOf({ identification: identification % 500, offset, body: pattern(800), moreFragments: true }),
        identification
      )
      highest = Math.max(highest, reassembly.octets)
    }
    assert.isAtMost(highest, limit)
    assert.isAtLeast(highest, limit / 2)
    assert.isTrue(discarded.every((reason) => reason === "reassemblyFull"))
    reassembly.expire(Infinity)
    assert.strictEqual(reassembly.octets, 0)
  })

  it("gives up a datagram that alone is more than may be kept", () => {
    const { discarded, reassembly } = setup({ octets: 2000 })
    reassembly.add(fragmentOf({ offset: 8, body: pattern(2400), moreFragments: true }), 0)
    assert.deepStrictEqual(discarded, ["reassemblyFull"])
    assert.strictEqual(reassembly.octets, 0)
    assert.strictEqual(reassembly.size, 0)
  })

  it("never delivers a datagram that it gave up, nor keeps what it cost", () => {
    for (const octets of [100, 600, 2000, 3000]) {
      const { discarded, reassembly } = setup({ octets })
      const [first, second] = cut(pattern(2400), [150])
      assert.isUndefined(reassembly.add(fragmentOf(first!), 0))
      const whole = reassembly.add(fragmentOf(second!), 0)
      assert.isTrue(whole === undefined && discarded.includes("reassemblyFull"), `${octets} octets`)
      reassembly.expire(Infinity)
      assert.strictEqual(reassembly.octets, 0)
    }
  })

  it.each([
    [0b00, 0b00, 0b00],
    [0b10, 0b10, 0b10],
    [0b01, 0b01, 0b01],
    [0b10, 0b11, 0b11],
    [0b01, 0b11, 0b11],
    [0b00, 0b10, 0b00],
    [0b01, 0b10, 0b01],
    [0b00, 0b11, undefined]
  ])("combines the ECN fields %i and %i to %s (RFC 3168 §5.3)", (one, other, combined) => {
    const { discarded, reassembly } = setup()
    const [first, second] = cut(pattern(16), [1])
    reassembly.add(fragmentOf({ ...first!, typeOfService: one }), 0)
    const whole = reassembly.add(fragmentOf({ ...second!, typeOfService: other }), 0)
    assert.strictEqual(whole?.typeOfService, combined)
    assert.deepStrictEqual(discarded, combined === undefined ? ["fragmentEcnMismatch"] : [])
  })
})
