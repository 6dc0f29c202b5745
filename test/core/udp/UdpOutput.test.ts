import { assert, describe, it } from "@effect/vitest"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { MAX_PAYLOAD } from "@strata/core/udp/Udp"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import { Effect, Schema } from "effect"
import { NetAddress } from "effect/net"
import { checksumHolds, inet, ip, Network, raw } from "../../support/fakeIpv4.ts"
import {
  arrive,
  bind,
  bytes,
  counted,
  datagram,
  DIRECTED_BROADCAST,
  GROUP,
  HOST,
  OTHER_ADDRESS,
  PEER,
  reasonOf,
  stack,
  test
} from "../../support/udpHost.ts"

describe("Udp, sending", () => {
  it.effect.prop(
    "sends headers and checksums that hold",
    { payload: Schema.Uint8Array },
    ({ payload }) =>
      Effect.gen(function*() {
        const { sent } = yield* Network
        const port = yield* bind()
        yield* port.send(payload, inet(`${PEER}:53`))
        const [packet] = sent
        assert.isTrue(checksumHolds(packet!))
        assert.strictEqual(packet!.source, raw(HOST))
        assert.strictEqual(packet!.destination, raw(PEER))
        assert.deepStrictEqual(packet!.bytes.subarray(UdpHeader.size), payload)
        const head = yield* Schema.decodeEffect(UdpHeader.schema)(packet!.bytes)
        const expected = { sourcePort: port.port, destinationPort: 53, length: UdpHeader.size + payload.length }
        assert.deepInclude(head, expected)
      }).pipe(Effect.provide(stack))
  )

  test("a checksum that comes out as zero is sent as all ones", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.send(Uint8Array.of(0, 0), inet(`${PEER}:53`))
      const sum = new DataView(sent[0]!.bytes.buffer).getUint16(6)
      yield* port.send(Uint8Array.of(sum >>> 8, sum), inet(`${PEER}:53`))
      assert.strictEqual(new DataView(sent[1]!.bytes.buffer).getUint16(6), 0xffff)
    }))

  test("carries 65,507 octets and not one more", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* port.send(new Uint8Array(MAX_PAYLOAD).fill(0xa5))
      assert.strictEqual(sent[0]!.bytes.length, MAX_PAYLOAD + UdpHeader.size)
      assert.isTrue(checksumHolds(sent[0]!))
      assert.strictEqual(yield* reasonOf(port.send(new Uint8Array(MAX_PAYLOAD + 1))), "MessageTooLarge")
      assert.strictEqual(sent.length, 1)
    }))

  test("goes to the connected peer by default, or elsewhere when told", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      assert.strictEqual(NetAddress.formatIp(port.address), HOST)
      yield* port.send(bytes("default"))
      yield* port.send(bytes("elsewhere"), inet("192.0.2.9:54"))
      assert.deepStrictEqual(sent.map(({ destination }) => destination), [raw(PEER), raw("192.0.2.9")])
    }))

  test("needs a destination", () =>
    Effect.gen(function*() {
      const port = yield* bind()
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"))), "NoDestination")
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"), inet(`${PEER}:0`))), "NoDestination")
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"), inet("0.0.0.0:7"))), "NoDestination")
    }))

  test("needs permission for broadcasts, limited and directed", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const destinations = [inet("255.255.255.255:7"), inet(`${DIRECTED_BROADCAST}:7`)]
      const port = yield* bind()
      const permitted = yield* bind({ broadcast: true })
      for (const destination of destinations) {
        assert.strictEqual(yield* reasonOf(port.send(bytes("all"), destination)), "BroadcastNotPermitted")
        assert.strictEqual(yield* reasonOf(bind({ remote: destination })), "BroadcastNotPermitted")
        yield* permitted.send(bytes("all"), destination)
      }
      assert.strictEqual(sent.length, 2)
    }))

  test("says when there is no route", () =>
    Effect.gen(function*() {
      const port = yield* bind()
      const error = yield* Effect.flip(port.send(bytes("lost"), inet("203.0.113.1:7")))
      assert.strictEqual(error.message, "203.0.113.1:7 is unreachable: noRoute")
      assert.strictEqual(yield* reasonOf(bind({ remote: inet("203.0.113.1:7") })), "Unreachable")
    }))

  test("says what IPv4 said", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      for (
        const [result, reason] of [["dropped", "NotSent"], ["tooBig", "MessageTooLarge"], [
          "unreachable",
          "Unreachable"
        ]] as const
      ) {
        network.result = result
        assert.strictEqual(yield* reasonOf(port.send(bytes("x"))), reason)
      }
      assert.strictEqual(yield* counted("udp.sent"), 0)
    }))

  test("an answer leaves from the address that was asked", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.join(ip(GROUP))
      yield* arrive(7, "question", { to: OTHER_ADDRESS })
      yield* arrive(7, "broadcast question", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      yield* arrive(7, "multicast question", { to: GROUP, kind: "multicast" })
      for (const { destination, payload, source } of yield* port.take) {
        yield* port.send(payload, source, { source: destination })
      }
      assert.deepStrictEqual(sent.map(({ source }) => source), [raw(OTHER_ADDRESS), raw(HOST), raw(HOST)])
      assert.isTrue(sent.every(checksumHolds))
    }))

  test("does not send from an address that is not its own", () =>
    Effect.gen(function*() {
      const any = yield* bind()
      const one = yield* bind({ address: ip(HOST) })
      const destination = inet(`${PEER}:7`)
      assert.strictEqual(
        yield* reasonOf(any.send(bytes("x"), destination, { source: ip(PEER) })),
        "AddressNotAvailable"
      )
      assert.strictEqual(
        yield* reasonOf(one.send(bytes("x"), destination, { source: ip(OTHER_ADDRESS) })),
        "AddressNotAvailable"
      )
      yield* one.send(bytes("x"), destination, { source: ip(HOST) })
    }))

  test("tells what goes by, with the checksum that is sent", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      const told: Array<TraceDetail> = []
      trace.listen(({ detail }) => told.push(detail))
      yield* port.send(bytes("out"), inet(`${PEER}:53`))
      yield* arrive(7, "in")
      const [out, incoming] = told as Array<Extract<TraceDetail, { readonly _tag: "Packet" }>>
      assert.deepStrictEqual([out!.direction, out!.bytes], ["out", sent[0]!.bytes])
      assert.deepStrictEqual([incoming!.direction, incoming!.bytes], ["in", datagram(7, bytes("in"))])
      assert.deepStrictEqual(incoming!.network, { source: raw(PEER), destination: raw(HOST) })
    }))
})
