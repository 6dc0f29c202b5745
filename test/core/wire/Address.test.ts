import { assert, describe, it } from "@effect/vitest"
import * as Address from "@strata/core/wire/Address"
import { Schema } from "effect"
import { NetAddress } from "effect/net"

const integer = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("Address", () => {
  it.prop(
    "IPv4 addresses survive the border, and are written as effect/net writes them",
    { raw: integer(0xffff_ffff) },
    ({ raw }) => {
      const address = Address.toIpv4(raw)
      assert.strictEqual(Address.fromIpv4(address), raw)
      assert.strictEqual(Address.formatIpv4(raw), NetAddress.formatIp(address))
    }
  )

  it.prop(
    "MAC addresses survive the border, and are written as effect/net writes them",
    { raw: integer(2 ** 48 - 1) },
    ({ raw }) => {
      const address = Address.toMac(raw)
      assert.strictEqual(Address.fromMac(address), raw)
      assert.strictEqual(Address.formatMac(raw), NetAddress.formatMacAddress(address))
    }
  )

  it.prop("so do addresses with a port", { raw: integer(0xffff_ffff), port: integer(0xffff) }, ({ port, raw }) => {
    const inet = Address.toInet(raw, port)
    assert.deepStrictEqual([Address.fromIpv4(inet.address), inet.port], [raw, port])
    assert.strictEqual(Address.formatInet(raw, port), NetAddress.formatInet(inet))
  })

  it("netmasks have as many ones as the prefix is long", () => {
    for (let length = 0; length <= 32; length++) {
      const expected = parseInt("1".repeat(length).padEnd(32, "0"), 2)
      assert.strictEqual(Address.netmask(length), expected)
    }
  })
})
