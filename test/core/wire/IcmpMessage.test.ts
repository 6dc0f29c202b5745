import { assert, describe, it } from "@effect/vitest"
import { IcmpType } from "@strata/core/wire/IcmpHeader"
import * as IcmpMessage from "@strata/core/wire/IcmpMessage"
import { Arbitrary, Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import { fromHex, laws, octets, refusal } from "./codec.ts"

const decode = Schema.decodeEffect(IcmpMessage.schema)
const encode = Schema.encodeEffect(IcmpMessage.schema)
const address = NetAddress.ipFromStringUnsafe

/** Each with a body that no other type's fields would read the same way. */
const examples: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
  ["00 00 1234 0037 0001 aabb", { _tag: "EchoReply", identifier: 55, sequence: 1 }],
  ["08 00 1234 0037 0001 aabb", { _tag: "EchoRequest", identifier: 55, sequence: 1 }],
  ["03 04 1234 0005 05dc aabb", { _tag: "DestinationUnreachable", code: 4, unused: 0, length: 5, nextHopMtu: 1500 }],
  ["04 00 1234 0000 0000 aabb", { _tag: "SourceQuench", rest: 0 }],
  ["05 01 1234 c000 0201 aabb", { _tag: "Redirect", code: 1, gateway: address("192.0.2.1") }],
  ["0b 01 1234 0005 0000 aabb", { _tag: "TimeExceeded", code: 1, unused: 0, length: 5, reserved: 0 }],
  ["0c 00 1234 1400 0000 aabb", { _tag: "ParameterProblem", pointer: 20, length: 0, reserved: 0 }],
  ["0d 00 1234 0001 0002 00000003 00000000 80000000 aabb", {
    _tag: "TimestampRequest",
    identifier: 1,
    sequence: 2,
    originate: 3,
    receive: 0,
    transmit: 0x8000_0000
  }],
  ["0e 00 1234 0001 0002 00000003 00000004 00000005 aabb", {
    _tag: "TimestampReply",
    identifier: 1,
    sequence: 2,
    originate: 3,
    receive: 4,
    transmit: 5
  }],
  ["0f 00 1234 0001 0002 aabb", { _tag: "InformationRequest", identifier: 1, sequence: 2 }],
  ["10 00 1234 0001 0002 aabb", { _tag: "InformationReply", identifier: 1, sequence: 2 }],
  ["11 00 1234 0001 0002 00000000 aabb", {
    _tag: "AddressMaskRequest",
    identifier: 1,
    sequence: 2,
    mask: address("0.0.0.0")
  }],
  ["12 00 1234 0001 0002 ffffff00 aabb", {
    _tag: "AddressMaskReply",
    identifier: 1,
    sequence: 2,
    mask: address("255.255.255.0")
  }],
  ["2a 00 1234 0001 0002 aabb", { _tag: "Unknown", type: 42, rest: 0x0001_0002 }]
]

/** Messages of all types, known or not, long enough for any of them. */
const messages = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.Literals([...Object.values(IcmpType), 1, 42, 255])), octets(0, 40)]),
  ([type, rest]) => Uint8Array.of(type, ...rest)
)

describe("IcmpMessage", () => {
  laws(IcmpMessage.schema, messages)

  it.effect("knows all types, each with its own body", () =>
    Effect.gen(function*() {
      for (const [hex, expected] of examples) {
        const message = { code: 0, checksum: 0x1234, data: Uint8Array.of(0xaa, 0xbb), ...expected }
        assert.deepStrictEqual<unknown>(yield* decode(fromHex(hex)), message)
        assert.deepStrictEqual(yield* encode(message as never), fromHex(hex))
      }
      const tags = examples.map(([, { _tag }]) => _tag)
      assert.sameMembers(Object.values(IcmpType).map(IcmpMessage.tagOf), tags.filter((tag) => tag !== "Unknown"))
    }))

  it.effect("refuses every truncation, naming the header that is cut and its length", () =>
    Effect.gen(function*() {
      for (const [hex] of examples) {
        const bytes = fromHex(hex)
        const size = bytes.length - 2
        for (let length = 0; length < size; length++) {
          const message = yield* refusal(IcmpMessage.schema, bytes.subarray(0, length))
          assert.match(
            message,
            length < 8 ? /at least 8 bytes of Icmp header/ : new RegExp(`at least ${size} bytes of Icmp .* header`)
          )
        }
      }
    }))

  it.effect("an unknown message cannot claim a type that has a name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(encode({
        _tag: "Unknown",
        type: IcmpType.echoRequest,
        code: 0,
        checksum: 0,
        rest: 0,
        data: new Uint8Array(0)
      }))
      assert.include(error.message, "a type of ICMP message without a name")
    }))
})
