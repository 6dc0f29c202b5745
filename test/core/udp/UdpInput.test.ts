import { assert, describe, it } from "@effect/vitest"
import { ChecksumState } from "@strata/core/device/Packet"
import { MAX_PAYLOAD, Udp } from "@strata/core/udp/Udp"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import { Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import { inet, ip, Network, raw } from "../../support/fakeIpv4.ts"
import {
  arrive,
  arriveRaw,
  arriveTogether,
  bind,
  bytes,
  counted,
  datagram,
  DIRECTED_BROADCAST,
  GROUP,
  HOST,
  OTHER_ADDRESS,
  PEER,
  portUnreachable,
  stack,
  test,
  text,
  texts
} from "../../support/udpHost.ts"

describe("Udp, receiving", () => {
  test("delivers the payload with its addresses, and nothing of what follows the length field", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const octets = datagram(7, bytes("hello"))
      yield* arriveRaw(Uint8Array.of(...octets, 1, 2, 3))
      const [{ destination, payload, source }] = yield* port.take
      assert.strictEqual(text(payload), "hello")
      assert.strictEqual(NetAddress.formatInet(source), `${PEER}:40000`)
      assert.strictEqual(NetAddress.formatIp(destination), HOST)
    }))

  it.effect.prop(
    "takes any payload from any source port, port 0 included",
    { payload: Schema.Uint8Array, fromPort: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })) },
    ({ fromPort, payload }) =>
      Effect.gen(function*() {
        const port = yield* bind({ port: 7 })
        yield* arrive(7, payload, { fromPort })
        const [received] = yield* port.take
        assert.deepStrictEqual(received.payload, payload)
        assert.strictEqual(received.source.port, fromPort)
      }).pipe(Effect.provide(stack))
  )

  test("accepts a checksum of zero, which is none", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const octets = datagram(7, bytes("unsummed"))
      octets.fill(0, 6, 8)
      yield* arriveRaw(octets)
      assert.deepStrictEqual(texts(yield* port.take), ["unsummed"])
    }))

  test("drops what is damaged: checksum, length, header", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      const port = yield* bind({ port: 7 })
      const flipped = datagram(7, bytes("damaged"))
      flipped[10]! ^= 1
      yield* arriveRaw(flipped)
      const long = datagram(7, bytes("long"))
      long[5]! += 1
      yield* arriveRaw(long)
      const short = datagram(7, bytes("short"))
      short[5] = 7
      yield* arriveRaw(short)
      for (let length = 0; length < UdpHeader.size; length++) {
        yield* arriveRaw(datagram(7, bytes("")).subarray(0, length))
      }
      assert.strictEqual(yield* counted("udp.dropped.badChecksum"), 1)
      assert.strictEqual(yield* counted("udp.dropped.badLength"), 2)
      assert.strictEqual(yield* counted("udp.dropped.truncated"), 8)
      assert.strictEqual(yield* counted("udp.received"), 11)
      assert.deepStrictEqual(reported, [])
      yield* arrive(7, "whole")
      assert.deepStrictEqual(texts(yield* port.take), ["whole"])
    }))

  it.effect.prop(
    "never throws on arbitrary octets",
    { octets: Schema.Uint8Array },
    ({ octets }) =>
      Effect.gen(function*() {
        yield* bind({ port: 7 })
        yield* arriveRaw(octets)
        const { error } = yield* Udp
        error({ ...portUnreachable }, { length: octets.length, start: 0, view: new DataView(octets.buffer) } as never)
      }).pipe(Effect.provide(stack))
  )

  test("believes a checksum that somebody has vouched for", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      for (const state of [ChecksumState.valid, ChecksumState.partial]) {
        const octets = datagram(7, bytes("vouched"))
        octets[6]! ^= 0x55
        yield* arriveRaw(octets, state)
      }
      assert.strictEqual((yield* port.take).length, 2)
    }))

  test("a socket with one address does not get what is sent to another", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, address: ip(HOST) })
      yield* arrive(7, "other", { to: OTHER_ADDRESS })
      yield* arrive(7, "mine")
      assert.deepStrictEqual(texts(yield* port.take), ["mine"])
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 1)
    }))

  test("a connected socket hears its peer alone", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, remote: inet(`${PEER}:40000`) })
      yield* arrive(7, "stranger", { from: "192.0.2.9" })
      yield* arrive(7, "other port", { fromPort: 40001 })
      yield* arrive(7, "peer")
      assert.deepStrictEqual(texts(yield* port.take), ["peer"])
    }))

  test("of sockets that share a port the connected one is preferred, then the one with that address", () =>
    Effect.gen(function*() {
      const any = yield* bind({ port: 7, shared: true })
      const connected = yield* bind({ port: 7, shared: true, remote: inet(`${PEER}:40000`) })
      const exact = yield* bind({ port: 7, shared: true, address: ip(HOST) })
      yield* arrive(7, "to connected")
      yield* arrive(7, "to exact", { fromPort: 1 })
      yield* arrive(7, "to any", { fromPort: 1, to: OTHER_ADDRESS })
      assert.deepStrictEqual(texts(yield* connected.take), ["to connected"])
      assert.deepStrictEqual(texts(yield* exact.take), ["to exact"])
      assert.deepStrictEqual(texts(yield* any.take), ["to any"])
    }))

  test("a broadcast goes to every socket that has all addresses or that one, and to no other", () =>
    Effect.gen(function*() {
      const options = { port: 7, shared: true }
      const first = yield* bind(options)
      const second = yield* bind(options)
      const broadcast = yield* bind({ ...options, address: ip(DIRECTED_BROADCAST) })
      const unicast = yield* bind({ ...options, address: ip(HOST) })
      yield* arrive(7, "all", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      for (const port of [first, second, broadcast]) assert.deepStrictEqual(texts(yield* port.take), ["all"])
      yield* arrive(7, "one")
      assert.deepStrictEqual(texts(yield* unicast.take), ["one"])
    }))

  test("a socket can have a group's address, and then hears the group alone", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7, address: ip(GROUP) })
      yield* port.join(ip(GROUP))
      yield* arrive(7, "one")
      yield* arrive(7, "group", { to: GROUP, kind: "multicast" })
      assert.deepStrictEqual(texts(yield* port.take), ["group"])
      yield* port.send(bytes("answer"), inet(`${PEER}:7`))
      assert.strictEqual(sent[0]!.source, raw(HOST))
    }))

  test("each of several plain readers of a broadcast finds its payload", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const heard: Array<string> = []
      for (let reader = 0; reader < 2; reader++) {
        yield* udp.bindWith({ port: 7, shared: true }, (packet) => {
          heard.push(text(packet.toBytes()))
          packet.start = packet.end
          return true
        })
      }
      yield* arrive(7, "all", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      assert.deepStrictEqual(heard, ["all", "all"])
    }))

  test("reports port unreachable, with the whole datagram to quote", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      yield* arrive(9, "nobody")
      assert.deepStrictEqual(reported, [{ type: 3, code: 3, length: 20 + UdpHeader.size + 6 }])
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 1)
    }))

  test("reports nothing about what was sent to many", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      yield* arrive(9, "nobody", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      yield* arrive(9, "nobody", { to: "224.0.0.1", kind: "multicast" })
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 2)
      yield* bind({ port: 9 })
      yield* arrive(9, "no member", { to: "224.0.0.1", kind: "multicast" })
      assert.strictEqual(yield* counted("udp.dropped.notJoined"), 1)
      assert.deepStrictEqual(reported, [])
    }))

  test("keeps as many datagrams as its capacity, drops the newest and counts them", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, capacity: 3 })
      for (const message of ["a", "b", "c", "d", "e"]) yield* arrive(7, message)
      assert.deepStrictEqual(texts(yield* port.take), ["a", "b", "c"])
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
      yield* arrive(7, "f")
      assert.deepStrictEqual(texts(yield* port.take), ["f"])
    }))

  test("keeps no more once its buffer is full, but the largest datagram where it is empty", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, receiveBuffer: 10 })
      for (const message of ["123456789", "0123456789", "too much"]) yield* arrive(7, message)
      assert.deepStrictEqual(texts(yield* port.take), ["123456789", "0123456789"])
      assert.strictEqual(port.dropped(), 1)
      yield* arrive(7, new Uint8Array(MAX_PAYLOAD))
      assert.strictEqual((yield* port.take)[0].payload.length, MAX_PAYLOAD)
    }))

  test("plain code is called in place", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const heard: Array<unknown> = []
      yield* udp.bindWith({ port: 7 }, (packet, source, sourcePort, destination) => {
        heard.push([text(packet.toBytes()), source, sourcePort, destination])
        return true
      })
      yield* arrive(7, "plain")
      assert.deepStrictEqual(heard, [["plain", raw(PEER), 40000, raw(HOST)]])
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 0)
    }))

  test("counts what plain code has no room for, each datagram of several that came as one", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const port = yield* (yield* Udp).bindWith({ port: 7 }, (packet) => {
        if (heard.length === 2) return false
        heard.push(text(packet.toBytes()))
        return true
      })
      yield* arriveTogether(7, "abcdefg", 2)
      assert.deepStrictEqual(heard, ["ab", "cd"])
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
    }))
})

describe("Udp, several datagrams in one packet", () => {
  test("are taken apart, the last one being shorter or not", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      for (const [payload, expected] of [["abcdefgh", "abc def gh"], ["abcdef", "abc def"]] as const) {
        yield* arriveTogether(7, payload, 3)
        const datagrams = yield* port.take
        assert.strictEqual(texts(datagrams).join(" "), expected)
        for (const { destination, source } of datagrams) {
          assert.strictEqual(`${source} ${destination}`, `${inet(`${PEER}:40000`)} ${ip(HOST)}`)
        }
      }
      assert.strictEqual(yield* counted("udp.received"), 5)
    }))

  test("may be a single one, with or without payload", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      yield* arriveTogether(7, "ab", 3)
      yield* arriveTogether(7, "abc", 3)
      yield* arriveTogether(7, "", 3)
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "abc", ""])
      assert.strictEqual(yield* counted("udp.received"), 3)
    }))

  test("go one by one to plain code, and all of them to each reader of a broadcast", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const seen: Array<string> = []
      const plain = yield* udp.bindWith({ port: 7, shared: true }, (packet) => {
        seen.push(text(packet.toBytes()))
        // It may do with the packet what it likes.
        packet.start = packet.end
        return true
      })
      const port = yield* bind({ port: 7, shared: true })
      yield* arriveTogether(7, "abcde", 2, "broadcast")
      assert.deepStrictEqual(seen, ["ab", "cd", "e"])
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "cd", "e"])
      assert.strictEqual(plain.port, port.port)
    }))

  test("are kept as far as there is room", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, capacity: 2 })
      yield* arriveTogether(7, "abcdefgh", 2)
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "cd"])
    }))

  test("are reported as unreachable by the first of them", () =>
    Effect.gen(function*() {
      const network = yield* Network
      yield* arriveTogether(7, "abcdefgh", 3)
      assert.deepStrictEqual(network.reported, [{ type: 3, code: 3, length: 20 + UdpHeader.size + 3 }])
    }))
})
