/**
 * Frames whose fields are known: an ARP exchange and a ping, as a small C stack logged them. Each is rebuilt octet by
 * octet; what the log says about it must come out of the codecs.
 */
import { assert, describe, it } from "@effect/vitest"
import { formatIpv4, formatMac } from "@strata/core/wire/Address"
import { ArpHeader, ArpOperation } from "@strata/core/wire/ArpHeader"
import * as Checksum from "@strata/core/wire/Checksum"
import { EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import * as IcmpMessage from "@strata/core/wire/IcmpMessage"
import * as Ipv4Packet from "@strata/core/wire/Ipv4Packet"
import { Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import { fromHex } from "./codec.ts"

const HOST = { mac: "0e:4e:af:bc:64:c6", ip: "192.0.2.1" }
const STACK = { mac: "00:00:5e:00:53:01", ip: "192.0.2.2" }

const mac = NetAddress.macAddressFromStringUnsafe
const ip = (text: string) => NetAddress.ipFromStringUnsafe(text) as NetAddress.Ipv4Address
const sum = (bytes: Uint8Array) => Checksum.add(0, bytes, 0, bytes.length)

const arpRequest = fromHex(
  "ffffffffffff 0e4eafbc64c6 0806   0001 0800 06 04 0001   0e4eafbc64c6 c0000201   000000000000 c0000202"
)
const arpReply = fromHex(
  "0e4eafbc64c6 00005e005301 0806   0001 0800 06 04 0002   00005e005301 c0000202   0e4eafbc64c6 c0000201" +
    "00".repeat(18)
)
const requestHeader = fromHex("45 00 0054 a042 4000 40 01 1663 c0000201 c0000202")
const replyHeader = fromHex("45 00 0054 0080 0000 ff 01 3725 c0000202 c0000201")

const decodeArp = (frame: Uint8Array) =>
  Effect.all({
    ethernet: Schema.decodeEffect(EthernetHeader.schema)(frame),
    arp: Schema.decodeEffect(ArpHeader.schema)(frame.subarray(EthernetHeader.size))
  })

describe("the ARP exchange", () => {
  const common = { hardwareType: 1, protocolType: EtherType.ipv4, hardwareLength: 6, protocolLength: 4 }

  it.effect("request: 42 octets, from the host to everybody", () =>
    Effect.gen(function*() {
      assert.strictEqual(arpRequest.length, 42)
      assert.deepStrictEqual(yield* decodeArp(arpRequest), {
        ethernet: { source: mac(HOST.mac), destination: mac("ff:ff:ff:ff:ff:ff"), etherType: EtherType.arp },
        arp: {
          ...common,
          operation: ArpOperation.request,
          senderHardware: mac(HOST.mac),
          senderProtocol: ip(HOST.ip),
          targetHardware: mac("00:00:00:00:00:00"),
          targetProtocol: ip(STACK.ip)
        }
      })
    }))

  it.effect("reply: padded to 60 octets, from the stack to the host", () =>
    Effect.gen(function*() {
      assert.strictEqual(arpReply.length, 60)
      assert.deepStrictEqual(yield* decodeArp(arpReply), {
        ethernet: { source: mac(STACK.mac), destination: mac(HOST.mac), etherType: EtherType.arp },
        arp: {
          ...common,
          operation: ArpOperation.reply,
          senderHardware: mac(STACK.mac),
          senderProtocol: ip(STACK.ip),
          targetHardware: mac(HOST.mac),
          targetProtocol: ip(HOST.ip)
        }
      })
    }))

  it("is printed as in the log", () => {
    const view = new DataView(arpReply.buffer)
    assert.strictEqual(formatMac(EthernetHeader.get.source(view, 0)), STACK.mac)
    assert.strictEqual(formatMac(EthernetHeader.get.destination(view, 0)), HOST.mac)
    assert.strictEqual(formatIpv4(ArpHeader.get.senderProtocol(view, EthernetHeader.size)), STACK.ip)
    assert.strictEqual(formatIpv4(ArpHeader.get.targetProtocol(view, EthernetHeader.size)), HOST.ip)
  })
})

describe("the ping", () => {
  const headers = [
    [requestHeader, { identification: 41026, dontFragment: true, timeToLive: 64, checksum: 0x1663 }, HOST, STACK],
    [replyHeader, { identification: 128, dontFragment: false, timeToLive: 255, checksum: 0x3725 }, STACK, HOST]
  ] as const

  for (const [header, fields, from, to] of headers) {
    it.effect(`IPv4 ${fields.identification}: the fields printed, and a checksum that is ours`, () =>
      Effect.gen(function*() {
        const decoded = yield* Schema.decodeEffect(Ipv4Packet.schema)(header)
        assert.deepStrictEqual(decoded, {
          version: 4,
          dscp: 0,
          ecn: 0,
          totalLength: 84,
          reserved: false,
          moreFragments: false,
          fragmentOffset: 0,
          protocol: 1,
          source: ip(from.ip),
          destination: ip(to.ip),
          options: [],
          payload: new Uint8Array(0),
          ...fields
        })
        assert.isTrue(Checksum.verify(sum(header)))
        const cleared = header.slice()
        cleared.fill(0, 10, 12)
        assert.strictEqual(Checksum.finish(sum(cleared)), fields.checksum)
        assert.deepStrictEqual(yield* Schema.encodeEffect(Ipv4Packet.schema)(decoded), header)
      }))
  }

  /**
   * The log does not print the payload. It is that of Linux's ping: a time stamp of 16 octets, here such that the
   * request's checksum comes out as printed, and then 0x10, 0x11, …
   */
  const data = Uint8Array.from({ length: 56 }, (_, index) => index < 16 ? 0 : index)
  const echo = { code: 0, checksum: 0, identifier: 55, sequence: 1, data }
  const encode = Schema.encodeSync(IcmpMessage.schema)
  const without = sum(encode({ _tag: "EchoRequest", ...echo }))
  new DataView(data.buffer).setUint16(0, Checksum.addWord(Checksum.finish(0xb692), Checksum.finish(without)))

  it("request and reply: 64 octets, with the checksums printed", () => {
    for (const [tag, type, checksum] of [["EchoRequest", 8, 0xb692], ["EchoReply", 0, 0xbe92]] as const) {
      const bytes = encode({ _tag: tag, ...echo })
      assert.strictEqual(bytes.length, 64)
      assert.strictEqual(bytes[0], type)
      assert.strictEqual(Checksum.finish(sum(bytes)), checksum)
      assert.isTrue(Checksum.verify(sum(encode({ _tag: tag, ...echo, checksum }))))
    }
  })

  it.effect("is read back as it was printed", () =>
    Effect.gen(function*() {
      const packet = Uint8Array.of(...replyHeader, ...encode({ _tag: "EchoReply", ...echo, checksum: 0xbe92 }))
      const { payload, totalLength } = yield* Schema.decodeEffect(Ipv4Packet.schema)(packet)
      assert.strictEqual(packet.length, totalLength)
      assert.deepStrictEqual(yield* Schema.decodeEffect(IcmpMessage.schema)(payload), {
        _tag: "EchoReply",
        ...echo,
        checksum: 0xbe92
      })
    }))
})
