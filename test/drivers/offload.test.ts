/**
 * What the addon does where a kernel does not: checksums, cutting and joining,
 * held against the same in TypeScript.
 */
import { assert, describe, it } from "@effect/vitest"
import { ChecksumState, Packet } from "@strata/core/device/Packet"
import * as Checksum from "@strata/core/wire/Checksum"
import { Native } from "@strata/drivers"
import { Arbitrary, Context, Schema } from "effect"
import { cut } from "../../packages/drivers/src/internal/cut.ts"

const testing = (() => {
  try {
    return Context.get(Context.empty() as Context.Context<never>, Native.Native).load().testing
  } catch {
    return undefined
  }
})()

const ETHERNET = 14
const IP = 20
const NETWORK = ETHERNET
const TRANSPORT = ETHERNET + IP
const FLAGS = { fin: 1, psh: 8, ack: 16, cwr: 128 } as const

interface Segment {
  readonly sequence: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly flags: number
  readonly window: number
  readonly acknowledgement: number
  readonly timeToLive: number
  readonly typeOfService: number
  readonly tag: boolean
  readonly options: Uint8Array
  readonly payload: Uint8Array
}

/** Whole numbers. */
const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const isTrue = Arbitrary.schema(Schema.Boolean)

/** Octets without a pattern. */
const octets = (minimum: number, maximum: number) =>
  Arbitrary.map(Arbitrary.all([between(minimum, maximum), between(0, 0xffff_ffff)]), ([length, seed]) => {
    let state = seed
    return Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    })
  })

/** A frame of Ethernet, IPv4 and TCP without its payload, the checksum partial. */
const headersOf = (segment: Segment): Uint8Array => {
  const transport = 20 + segment.options.length
  const at = segment.tag ? NETWORK + 4 : NETWORK
  const bytes = new Uint8Array(at + IP + transport)
  const view = new DataView(bytes.buffer)
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2])
  if (segment.tag) view.setUint32(12, 0x8100_0005)
  view.setUint16(at - 2, 0x0800)
  view.setUint8(at, 0x45)
  view.setUint8(at + 1, segment.typeOfService)
  view.setUint16(at + 2, IP + transport + segment.payload.length)
  view.setUint16(at + 4, segment.identification)
  view.setUint16(at + 6, segment.dontFragment ? 0x4000 : 0)
  view.setUint8(at + 8, segment.timeToLive)
  view.setUint8(at + 9, 6)
  view.setUint32(at + 12, 0xc000_0201)
  view.setUint32(at + 16, 0xc000_0202)
  view.setUint16(at + 10, Checksum.finish(Checksum.add(0, bytes, at, at + IP)))
  const tcp = at + IP
  view.setUint16(tcp, 40_000)
  view.setUint16(tcp + 2, 80)
  view.setUint32(tcp + 4, segment.sequence)
  view.setUint32(tcp + 8, segment.acknowledgement)
  view.setUint8(tcp + 12, transport << 2)
  view.setUint8(tcp + 13, segment.flags)
  view.setUint16(tcp + 14, segment.window)
  bytes.set(segment.options, tcp + 20)
  const length = transport + segment.payload.length
  view.setUint16(tcp + 16, Checksum.pseudoHeader(0xc000_0201, 0xc000_0202, 6, length))
  return bytes
}

const transportOf = (segment: Segment): number => TRANSPORT + (segment.tag ? 4 : 0)

const plain: Segment = {
  sequence: 1000,
  identification: 0,
  dontFragment: true,
  flags: FLAGS.ack,
  window: 500,
  acknowledgement: 77,
  timeToLive: 64,
  typeOfService: 2,
  tag: false,
  options: new Uint8Array(12).fill(1),
  payload: new Uint8Array()
}

/** A whole frame with its checksum, by TypeScript. */
const frameOf = (changes: Partial<Segment>): Uint8Array => {
  const segment = { ...plain, ...changes }
  const packet = new Packet(Buffer.concat([headersOf(segment), segment.payload]))
  packet.checksum = ChecksumState.partial
  packet.checksumStart = transportOf(segment)
  packet.checksumOffset = 16
  packet.completeChecksum()
  return packet.toBytes()
}

/** The frames that TypeScript cuts a segment into. */
const model = (segment: Segment, size: number): ReadonlyArray<Uint8Array> => {
  const packet = new Packet(Buffer.concat([headersOf(segment), segment.payload]))
  packet.checksum = ChecksumState.partial
  packet.checksumStart = transportOf(segment)
  packet.checksumOffset = 16
  packet.segmentSize = size
  const frames: Array<Uint8Array> = []
  cut(packet, "ethernet", (each) => frames.push(each.toBytes()))
  return frames
}

const arbitrarySegment: Arbitrary.Arbitrary<Segment> = Arbitrary.all({
  sequence: between(0, 0xffff_ffff),
  identification: between(0, 0xffff),
  dontFragment: isTrue,
  flags: between(0, 255),
  window: between(0, 0xffff),
  acknowledgement: between(0, 0xffff_ffff),
  timeToLive: between(0, 255),
  typeOfService: between(0, 255),
  tag: Arbitrary.Constant(false),
  options: Arbitrary.map(octets(0, 10), (words) => new Uint8Array(4 * words.length).fill(words[0] ?? 0)),
  payload: octets(0, 3000)
})

/** Takes bytes apart at any places. */
const arbitraryCuts = Arbitrary.array(between(0, 3000), { maxLength: 6 })

const piecesOf = (bytes: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const places = [0, ...cuts.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((place, index) => bytes.slice(places[index], place))
}

const hex = (frames: ReadonlyArray<Uint8Array>) => frames.map((frame) => Buffer.from(frame).toString("hex"))

/** The segments of one flow, whose sequence numbers wrap. */
const nth = (index: number, changes: Partial<Segment> = {}) =>
  frameOf({ payload: new Uint8Array(100).fill(index), sequence: (0xffff_ff80 + 100 * index) >>> 0, ...changes })

/** A frame with a UDP datagram and a partial checksum. */
const datagram = (length: number, identification: number, port = 9) => {
  const bytes = new Uint8Array(TRANSPORT + 8 + length).fill(identification)
  const view = new DataView(bytes.buffer)
  bytes.set(headersOf(plain).subarray(0, TRANSPORT))
  view.setUint16(NETWORK + 2, IP + 8 + length)
  view.setUint16(NETWORK + 4, identification)
  view.setUint16(NETWORK + 6, 0)
  view.setUint8(NETWORK + 9, 17)
  view.setUint16(NETWORK + 10, 0)
  view.setUint16(NETWORK + 10, Checksum.finish(Checksum.add(0, bytes, NETWORK, TRANSPORT)))
  view.setUint16(TRANSPORT, 1000)
  view.setUint16(TRANSPORT + 2, port)
  view.setUint16(TRANSPORT + 4, 8 + length)
  view.setUint16(TRANSPORT + 6, Checksum.pseudoHeader(0xc000_0201, 0xc000_0202, 17, 8 + length))
  return bytes
}

/** What is known of a TCP segment that has arrived. */
const known = (state: number, segmentSize = 0): Native.TestedArrival => ({
  checksum: state,
  checksumStart: TRANSPORT,
  checksumOffset: 16,
  segmentSize
})

/** Without a checksum, as a kernel passes on what it has sent itself. */
const bare = (changes: Partial<Segment>) => {
  const segment = { ...plain, ...changes }
  return Buffer.concat([headersOf(segment), segment.payload])
}

describe.skipIf(testing === undefined)("the addon's offload", () => {
  const { checksum, coalesce: coalesceKnown, complete, cut: cutNative, join } = testing ?? ({} as Native.Testing)
  const coalesce = (frames: ReadonlyArray<Uint8Array>) => coalesceKnown(frames, [])

  it.prop(
    "sums as TypeScript does, at every alignment, with every instruction set",
    { bytes: octets(0, 2000), skipped: between(0, 40) },
    ({ bytes, skipped }) => {
      const part = bytes.subarray(Math.min(skipped, bytes.length))
      const expected = Checksum.add(0, part, 0, part.length)
      assert.strictEqual(checksum(part, true), expected)
      assert.strictEqual(checksum(part, false), expected)
    },
    { arbitrary: { runs: 500 } }
  )

  it("sums all zeros and all ones of every kind of length", () => {
    for (const length of [0, 1, 63, 64, 95, 96, 97, 127, 128, 129, 65_535, 1 << 20]) {
      for (const value of [0x00, 0xff]) {
        const bytes = new Uint8Array(length).fill(value)
        for (const portable of [true, false]) {
          assert.strictEqual(checksum(bytes, portable), Checksum.add(0, bytes, 0, length))
        }
      }
    }
  })

  it.prop(
    "completes the checksums of frames in any pieces",
    { segment: arbitrarySegment, cuts: arbitraryCuts },
    ({ cuts, segment }) => {
      const completed = complete(headersOf(segment), piecesOf(segment.payload, cuts), TRANSPORT, 16)
      assert.deepStrictEqual(hex([completed]), hex([frameOf(segment)]))
    }
  )

  it("sends a UDP checksum of zero as all ones, and a TCP checksum as it is", () => {
    const bytes = new Uint8Array(TRANSPORT + 20)
    bytes.fill(0xff, TRANSPORT, TRANSPORT + 2)
    assert.deepStrictEqual([...complete(bytes, [], TRANSPORT, 6).subarray(TRANSPORT + 6, TRANSPORT + 8)], [255, 255])
    assert.deepStrictEqual([...complete(bytes, [], TRANSPORT, 16).subarray(TRANSPORT + 16, TRANSPORT + 18)], [0, 0])
  })

  it.prop(
    "cuts segments as TypeScript does, in any pieces, and goes on where it was interrupted",
    {
      segment: arbitrarySegment,
      cuts: arbitraryCuts,
      size: between(1, 1500),
      skipped: between(0, 10),
      linearPayload: between(0, 100)
    },
    ({ cuts, linearPayload, segment, size, skipped }) => {
      const expected = model(segment, size)
      const inHeaders = Math.min(linearPayload, segment.payload.length)
      const linear = Buffer.concat([headersOf(segment), segment.payload.subarray(0, inHeaders)])
      const pieces = piecesOf(segment.payload.subarray(inHeaders), cuts)
      const cutInto = (from: number) => hex(cutNative(linear, pieces, TRANSPORT, size, from))
      if (segment.payload.length <= size) return assert.deepStrictEqual(cutInto(0), [])
      assert.deepStrictEqual(cutInto(0), hex(expected))
      assert.deepStrictEqual(cutInto(skipped), hex(expected.slice(skipped)))
    }
  )

  it("cuts segments of 64 KiB, behind VLAN tags too", () => {
    const payload = Uint8Array.from({ length: 65_000 }, (_, index) => index * 7)
    const segment = { ...plain, payload, flags: FLAGS.ack | FLAGS.psh | FLAGS.fin | FLAGS.cwr }
    const frames = cutNative(headersOf(segment), [payload], TRANSPORT, 1448, 0)
    assert.lengthOf(frames, 45)
    assert.deepStrictEqual(hex(frames), hex(model(segment, 1448)))
    assert.deepStrictEqual(frames.map((frame) => frame[TRANSPORT + 13]), [
      FLAGS.ack | FLAGS.cwr,
      ...Array.from({ length: 43 }, () => FLAGS.ack),
      FLAGS.ack | FLAGS.psh | FLAGS.fin
    ])
    const tagged = cutNative(headersOf({ ...segment, tag: true }), [payload], TRANSPORT + 4, 1448, 0)
    assert.deepStrictEqual(
      hex(tagged.map((frame) => Buffer.concat([frame.subarray(0, 12), frame.subarray(16)]))),
      hex(frames)
    )
  })

  it.prop(
    "joins what was cut to what it was",
    { any: arbitrarySegment, size: between(1, 1500), pushed: isTrue },
    ({ any, pushed, size }) => {
      const segment = { ...any, dontFragment: true, flags: FLAGS.ack | (pushed ? FLAGS.psh : 0) }
      if (segment.payload.length <= size) return
      const joined = coalesce(model(segment, size))
      assert.lengthOf(joined, 1)
      assert.strictEqual(joined[0]!.segmentSize, size)
      // The checksum of the first segment stays, and means nothing.
      const expected = Buffer.concat([headersOf(segment), segment.payload])
      const actual = Buffer.from(joined[0]!.bytes)
      for (const frame of [expected, actual]) frame.writeUInt16BE(0, TRANSPORT + 16)
      assert.strictEqual(actual.toString("hex"), expected.toString("hex"))
    }
  )

  const first = { payload: new Uint8Array(100).fill(1) }
  const next = { payload: new Uint8Array(100).fill(2), sequence: 1100 }
  const sizes = (frames: ReadonlyArray<Uint8Array>) => coalesce(frames).map(({ segmentSize }) => segmentSize)

  it.each<readonly [string, Partial<Segment>, Partial<Segment>]>([
    ["a gap", first, { ...next, sequence: 1101 }],
    ["a repetition", first, { ...next, sequence: 1000 }],
    ["another acknowledgement", first, { ...next, acknowledgement: 78 }],
    ["another window", first, { ...next, window: 501 }],
    ["other options", first, { ...next, options: new Uint8Array(12).fill(0) }],
    ["fewer options", first, { ...next, options: new Uint8Array(8).fill(1) }],
    ["another TTL", first, { ...next, timeToLive: 63 }],
    ["a mark of congestion", first, { ...next, typeOfService: 3 }],
    ["what may be fragmented", first, { ...next, dontFragment: false }],
    ["what may be fragmented, first", { ...first, dontFragment: false }, next],
    ["FIN", first, { ...next, flags: FLAGS.ack | FLAGS.fin }],
    ["a longer one", first, { ...next, payload: new Uint8Array(101) }],
    ["an acknowledgement alone", first, { ...next, payload: new Uint8Array() }],
    ["what follows PSH", { ...first, flags: FLAGS.ack | FLAGS.psh }, next],
    ["what follows CWR", { ...first, flags: FLAGS.ack | FLAGS.cwr }, next],
    ["a VLAN", first, { ...next, tag: true }]
  ])("does not join %s", (_, one, other) => {
    assert.deepStrictEqual(sizes([frameOf(one), frameOf(other)]), [0, 0])
  })

  it("joins until a shorter one or PSH, and starts again", () => {
    const short = { payload: new Uint8Array(99) }
    assert.deepStrictEqual(sizes([nth(0), nth(1), nth(2)]), [100])
    assert.deepStrictEqual(sizes([nth(0), nth(1, { flags: FLAGS.ack | FLAGS.psh }), nth(2), nth(3)]), [100, 100])
    assert.deepStrictEqual(sizes([nth(0), nth(1, short), nth(2)]), [100, 0])
    assert.deepStrictEqual(coalesce([nth(0), nth(1), nth(2)])[0]!.bytes.length, TRANSPORT + 32 + 300)
  })

  const { partial, unverified, valid } = ChecksumState
  it.prop(
    "joins what was cut to what it was, whoever is to compute the checksum",
    { any: arbitrarySegment, size: between(1, 1500), state: between(0, 2) },
    ({ any, size, state }) => {
      const segment = { ...any, dontFragment: true, flags: FLAGS.ack }
      if (segment.payload.length <= size) return
      const whole = Buffer.concat([headersOf(segment), segment.payload])
      const frames = model(segment, size).map((frame, index) => {
        if (state !== partial) return frame
        const payload = segment.payload.subarray(index * size, (index + 1) * size)
        return bare({ ...segment, sequence: (segment.sequence + index * size) >>> 0, payload })
      })
      const [joined, ...others] = coalesceKnown(frames, frames.map(() => known(state)))
      assert.deepStrictEqual(others, [])
      assert.strictEqual(joined!.segmentSize, size)
      const actual = Buffer.from(joined!.bytes)
      assert.strictEqual(joined!.checksum, state === partial ? partial : valid)
      if (state === partial) {
        // What nobody has computed yet is the sum of the whole's pseudo-header; the identification is the first one's.
        for (const frame of [whole, actual]) frame.fill(0, NETWORK + 10, NETWORK + 12).fill(0, NETWORK + 4, NETWORK + 6)
      } else {
        for (const frame of [whole, actual]) frame.writeUInt16BE(0, TRANSPORT + 16)
      }
      assert.strictEqual(actual.toString("hex"), whole.toString("hex"))
    }
  )

  it("joins only what is known in the same way, and nothing that the kernel has joined", () => {
    const sizesKnown = (one: Native.TestedArrival, other: Native.TestedArrival) =>
      coalesceKnown(
        [one, other].map((arrival, index) =>
          (arrival.checksum === partial ? bare : frameOf)(index === 0 ? first : next)
        ),
        [one, other]
      ).map(({ segmentSize }) => segmentSize)
    assert.deepStrictEqual(sizesKnown(known(valid), known(valid)), [100])
    assert.deepStrictEqual(sizesKnown(known(unverified), known(valid)), [100])
    assert.deepStrictEqual(sizesKnown(known(partial), known(partial)), [100])
    assert.deepStrictEqual(sizesKnown(known(partial), known(valid)), [0, 0])
    assert.deepStrictEqual(sizesKnown(known(unverified), known(partial)), [0, 0])
    assert.deepStrictEqual(sizesKnown(known(partial), known(partial, 50)), [0, 50])
    assert.deepStrictEqual(sizesKnown(known(partial, 50), known(partial)), [50, 0])
    assert.deepStrictEqual(sizesKnown(known(valid), known(valid, 50)), [0, 50])
    // A checksum that is to stand elsewhere is none of TCP's.
    assert.deepStrictEqual(sizesKnown(known(partial), { ...known(partial), checksumOffset: 6 }), [0, 0])
    assert.deepStrictEqual(sizesKnown(known(partial), { ...known(partial), checksumStart: 0 }), [0, 0])
  })

  it("believes who vouches for a checksum, and vouches for nothing that is wrong", () => {
    const wrong = Uint8Array.from(frameOf(first))
    wrong[TRANSPORT + 40]! ^= 1
    assert.deepStrictEqual(coalesceKnown([wrong], [known(unverified)]).map((frame) => frame.checksum), [unverified])
    assert.deepStrictEqual(coalesceKnown([wrong], [known(valid)]).map((frame) => frame.checksum), [valid])
  })

  it("joins no more than a packet may have", () => {
    const frames = Array.from(
      { length: 50 },
      (_, index) => frameOf({ payload: new Uint8Array(1448), sequence: index * 1448 })
    )
    const joined = coalesce(frames)
    assert.deepStrictEqual(joined.map(({ bytes }) => bytes.length - TRANSPORT - 32), [45 * 1448, 5 * 1448])
  })

  it("leaves alone what has a wrong checksum, is a fragment, or is malformed", () => {
    const frames = [frameOf(first), frameOf(next)]
    const change = (at: number, value: number) => {
      const changed = Uint8Array.from(frames[1]!)
      changed[at] = value
      return [frames[0]!, changed]
    }
    assert.deepStrictEqual(sizes(frames), [100])
    for (const [at, value] of [[TRANSPORT + 40, 9], [NETWORK, 0x65], [NETWORK, 0x4f], [NETWORK + 6, 0x20], [12, 9]]) {
      assert.deepStrictEqual(sizes(change(at!, value!)), [0, 0])
    }
    for (const length of [0, 13, 33, 53, 65, 100]) {
      assert.deepStrictEqual(sizes([frames[0]!, frames[1]!.slice(0, length)]), length === 0 ? [100].fill(0) : [0, 0])
    }
  })

  it.prop(
    "survives any frames",
    { noise: Arbitrary.array(Arbitrary.all([octets(0, 120), isTrue]), { maxLength: 8 }) },
    ({ noise }) => {
      const frames = noise.map(([bytes, isLikely]) => {
        if (!isLikely) return bytes
        const frame = frameOf(first)
        frame.set(bytes.subarray(0, 40), NETWORK)
        return frame
      })
      assert.isAtMost(coalesce(frames).length, frames.length)
      assert.deepStrictEqual(join(frames).map(({ segmentSize }) => segmentSize), frames.map(() => 0))
    }
  )

  it.prop(
    "joins datagrams of one flow, which TypeScript cuts to what they were",
    { length: between(1, 1472), count: between(2, 40), shorter: between(0, 1471) },
    ({ count, length, shorter }) => {
      const frames = Array.from(
        { length: count },
        (_, index) => datagram(index === count - 1 ? Math.max(1, length - shorter) : length, index)
      )
      const joined = join(frames)
      assert.lengthOf(joined, 1)
      const packet = new Packet(Uint8Array.from(joined[0]!.bytes))
      packet.segmentSize = joined[0]!.segmentSize
      packet.checksum = ChecksumState.partial
      packet.checksumStart = TRANSPORT
      packet.checksumOffset = 6
      const pieces: Array<Uint8Array> = []
      cut(packet, "ethernet", (each) => pieces.push(each.toBytes()))
      const expected = frames.map((frame) => complete(frame, [], TRANSPORT, 6))
      assert.deepStrictEqual(hex(pieces), hex(expected))
    }
  )

  const sizesOf = (frames: ReadonlyArray<Uint8Array>) => join(frames).map(({ segmentSize }) => segmentSize)

  it("joins no datagrams that differ in more than their length, and no more than fit", () => {
    assert.deepStrictEqual(sizesOf([datagram(10, 0), datagram(10, 1)]), [10])
    assert.deepStrictEqual(sizesOf([datagram(10, 0), datagram(11, 1)]), [0, 0])
    assert.deepStrictEqual(sizesOf([datagram(10, 0), datagram(9, 1), datagram(10, 2)]), [10, 0])
    assert.deepStrictEqual(sizesOf([datagram(10, 0), datagram(10, 2)]), [0, 0])
    assert.deepStrictEqual(sizesOf([datagram(10, 0), datagram(10, 1, 10)]), [0, 0])
    assert.deepStrictEqual(sizesOf([datagram(0, 0), datagram(0, 1)]), [0, 0])
    const many = Array.from({ length: 100 }, (_, index) => datagram(1400, index))
    assert.deepStrictEqual(sizesOf(many), [1400, 1400, 1400])
    const tiny = Array.from({ length: 100 }, (_, index) => datagram(1, index))
    assert.deepStrictEqual(sizesOf(tiny), [1, 1])
  })
})
