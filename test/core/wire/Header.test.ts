import { assert, describe, it } from "@effect/vitest"
import * as Accessor from "@strata/core/wire/Accessor"
import { ArpHeader } from "@strata/core/wire/ArpHeader"
import { EthernetHeader } from "@strata/core/wire/EthernetHeader"
import * as Field from "@strata/core/wire/Field"
import * as Header from "@strata/core/wire/Header"
import * as Icmp from "@strata/core/wire/IcmpHeader"
import { Ipv4Header } from "@strata/core/wire/Ipv4Header"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import { Arbitrary, Effect, Schema } from "effect"
import { laws, octets, refusal } from "./codec.ts"

type AnyHeader = Header.Header<Header.Fields>

const headers: ReadonlyArray<readonly [AnyHeader, size: number]> = [
  [EthernetHeader, 14],
  [ArpHeader, 28],
  [Ipv4Header, 20],
  [Icmp.IcmpHeader, 8],
  [Icmp.IcmpEchoHeader, 8],
  [Icmp.IcmpUnreachableHeader, 8],
  [Icmp.IcmpRedirectHeader, 8],
  [Icmp.IcmpTimeExceededHeader, 8],
  [Icmp.IcmpParameterProblemHeader, 8],
  [Icmp.IcmpTimestampHeader, 20],
  [Icmp.IcmpAddressMaskHeader, 12],
  [UdpHeader, 8],
  [TcpHeader, 20]
] as ReadonlyArray<readonly [any, number]>

for (const [header, size] of headers) {
  const fields = Object.keys(header.get)
  const encodeStruct = Schema.encodeEffect(header.struct)

  describe(`${header.name} header`, () => {
    it("has the size of its RFC", () => assert.strictEqual(header.size, size))

    laws(header.schema, octets(size, size))

    it.effect.prop(
      "accessors agree with the codec, wherever the header stands",
      {
        bytes: octets(size, size),
        at: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })))
      },
      ({ at, bytes }) =>
        Effect.gen(function*() {
          const slab = new Uint8Array(size + 18).fill(0xa5)
          slab.set(bytes, at)
          const view = new DataView(slab.buffer)
          const raw = yield* encodeStruct(yield* Schema.decodeEffect(header.schema)(slab.subarray(at)))
          const copy = new Uint8Array(slab.length).fill(0xa5)
          const copied = new DataView(copy.buffer)
          for (const field of fields) {
            assert.strictEqual(header.get[field]!(view, at), raw[field], field)
            header.set[field]!(copied, at, raw[field]!)
          }
          assert.deepStrictEqual(copy, slab)
        })
    )

    it("writing a field changes that field alone", () => {
      for (const background of [0x00, 0xff]) {
        for (const field of fields) {
          const bytes = new Uint8Array(size).fill(background)
          const view = new DataView(bytes.buffer)
          const before = header.read(view, 0)
          const flipped = background === 0 ? largest(header, field) : 0
          header.set[field]!(view, 0, flipped)
          assert.deepStrictEqual(header.read(view, 0), { ...before, [field]: flipped })
        }
      }
    })

    it.effect("refuses every truncation, naming header and length", () =>
      Effect.gen(function*() {
        for (let length = 0; length < size; length++) {
          const message = yield* refusal(header.schema, new Uint8Array(length))
          assert.include(message, `at least ${size} bytes of ${header.name} header`)
        }
      }))

    it.effect("refuses a field that does not fit", () =>
      Effect.gen(function*() {
        const field = fields[0]!
        const raw = { ...header.read(new DataView(new ArrayBuffer(size)), 0), [field]: largest(header, field) + 1 }
        yield* Effect.flip(Schema.decodeEffect(header.struct)(raw))
      }))
  })
}

/** What a field of all ones reads as. */
const largest = (header: AnyHeader, field: string): number =>
  header.get[field]!(new DataView(new Uint8Array(header.size).fill(0xff).buffer), 0)

describe("Header.make", () => {
  it("refuses a header that ends inside a byte, or a field no accessor can reach", () => {
    assert.throws(() => Header.make("Odd", { flag: Field.flag }), /Odd header ends inside a byte, after 1 bits/)
    assert.throws(() => Accessor.make(16, 4), /a 16-bit field cannot start at bit 4/)
    assert.throws(() => Accessor.make(24, 0), /a 24-bit field cannot start at bit 0/)
  })

  it("reads fields of every width at every place they can stand", () => {
    for (let start = 0; start < 16; start++) {
      for (let width = 1; (start & 7) + width <= 16; width++) {
        if (width === 8 || width === 16) continue
        const { get, set } = Accessor.make(width, start)
        const view = new DataView(new ArrayBuffer(4))
        const value = (2 ** width - 1) & 0x5555
        set(view, 0, value)
        assert.strictEqual(view.getUint32(0), (value << (32 - start - width)) >>> 0, `${width} bits at ${start}`)
        assert.strictEqual(get(view, 0), value)
      }
    }
  })

  it("shows flags by name and addresses as people write them", () => {
    const decode = Schema.decodeSync(TcpHeader.schema)
    const bytes = new Uint8Array(TcpHeader.size)
    bytes[13] = 0b0001_0010
    assert.deepInclude(decode(bytes), {
      flags: { cwr: false, ece: false, urg: false, ack: true, psh: false, rst: false, syn: true, fin: false }
    })
    const ip = Schema.decodeSync(Ipv4Header.schema)(
      Uint8Array.of(...new Uint8Array(12), 192, 0, 2, 1, 255, 255, 255, 255)
    )
    assert.deepStrictEqual([`${ip.source}`, `${ip.destination}`], ["192.0.2.1", "255.255.255.255"])
  })
})
