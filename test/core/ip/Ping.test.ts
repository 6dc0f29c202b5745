/**
 * Pings: between two hosts in memory, and of a neighbour who answers as the test wants.
 */
import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core/Entropy"
import { AnswerBroadcastEcho, Icmp, type PingOptions } from "@strata/core/ip/Icmp"
import * as NetworkStack from "@strata/core/NetworkStack"
import { Loopback, Wire } from "@strata/drivers"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { counted, icmp, ipv4, Neighbour, packet, type PacketOptions, pattern } from "../../support/internet.ts"

const host = (end: Wire.End, address: string) =>
  Layer.fresh(
    Layer.mergeAll(Loopback.layer, Wire.layer(end, { address })).pipe(
      Layer.provideMerge(Icmp.layer),
      Layer.provideMerge(NetworkStack.network),
      Layer.provideMerge(Entropy.layerSeeded(1))
    )
  )

const stackOf = (options?: Parameters<typeof Neighbour.layer>[0]) =>
  Layer.fresh(
    Layer.mergeAll(Icmp.layer, Neighbour.layer(options)).pipe(
      Layer.provideMerge(NetworkStack.network),
      Layer.provideMerge(Entropy.layerSeeded(1))
    )
  )
const stack = stackOf()

const ping = (to: string, options?: PingOptions) => Effect.flatMap(Icmp, (service) => service.ping(ipv4(to), options))

/** 192.0.2.1, with 192.0.2.2 at the other end of its wire. */
const hosts = Effect.gen(function*() {
  const wire = Wire.make()
  const left = yield* Layer.build(host(wire.left, "192.0.2.1/24"))
  yield* Layer.build(host(wire.right, "192.0.2.2/24"))
  return (to: string, options?: PingOptions) => ping(to, options).pipe(Effect.provideContext(left))
})

/** Says an ICMP message that came from `source`. */
const say = (body: Uint8Array, options: PacketOptions = {}) =>
  Effect.map(Neighbour, (neighbour) => neighbour.say(packet({ protocol: 1, body, ...options })))

const hear = Effect.map(Neighbour, (neighbour) => neighbour.hear())

describe("ping between two hosts", () => {
  it.effect.each([0, 1, 56, 1472, 1473, 20_000, 65_507])("carries %i octets", (size) =>
    Effect.gen(function*() {
      const pingFromLeft = yield* hosts
      const reply = yield* pingFromLeft("192.0.2.2", { payload: pattern(size), sequence: 9, identifier: 77 })
      assert.deepInclude(reply, { length: size + 8, timeToLive: 64, sequence: 9, identifier: 77 })
      assert.deepEqual(reply.address, ipv4("192.0.2.2"))
    }))

  it.effect.each(["127.0.0.1", "127.1.2.3", "192.0.2.1"])(
    "reaches the host itself as %s",
    (address) =>
      Effect.gen(function*() {
        const pingFromLeft = yield* hosts
        const reply = yield* pingFromLeft(address, { payload: pattern(65_507) })
        assert.strictEqual(reply.length, 65_515)
        assert.deepEqual(reply.address, ipv4(address))
      })
  )

  it.effect("reaches somebody by broadcast, where that is answered", () =>
    Effect.gen(function*() {
      const pingFromLeft = yield* hosts
      for (const address of ["192.0.2.255", "255.255.255.255"]) {
        const reply = yield* pingFromLeft(address)
        assert.deepEqual(reply.address, ipv4("192.0.2.2"))
      }
    }).pipe(Effect.provideService(AnswerBroadcastEcho, true)))

  it.effect("is not sent without a route, or when it is too big", () =>
    Effect.gen(function*() {
      const pingFromLeft = yield* hosts
      const noRoute = yield* Effect.flip(pingFromLeft("198.51.100.1"))
      assert.strictEqual(noRoute.message, "there is no route to 198.51.100.1")
      const tooBig = yield* Effect.flip(pingFromLeft("192.0.2.2", { payload: new Uint8Array(65_508) }))
      assert.strictEqual(tooBig.message, "an echo of 65508 bytes does not fit; the most is 65507")
    }))

  it.effect("is given up when nobody has the address", () =>
    Effect.gen(function*() {
      const pingFromLeft = yield* hosts
      const fiber = yield* Effect.forkChild(Effect.flip(pingFromLeft("192.0.2.9", { timeout: "10 seconds" })))
      yield* TestClock.adjust("5 seconds")
      const { message, reason } = yield* Fiber.join(fiber)
      assert.strictEqual(message, "hostUnreachable (from 192.0.2.1)")
      assert.strictEqual(reason._tag, "PingUnreachable")
    }))
})

describe("ping", () => {
  it.effect("sends an echo request as it is told, and times the reply to a fraction of a millisecond", () =>
    Effect.gen(function*() {
      const options: PingOptions = { identifier: 0x1234, sequence: 7, payload: pattern(5), timeToLive: 3 }
      const fiber = yield* Effect.forkChild(ping("192.0.2.1", options), { startImmediately: true })
      const [request] = yield* hear
      assert.deepStrictEqual(request!.body, icmp(8, 0, 0x1234_0007, pattern(5)))
      assert.strictEqual(request!.timeToLive, 3)
      yield* TestClock.adjust("12500 micros")
      yield* say(icmp(0, 0, 0x1234_0007, pattern(5)), { timeToLive: 61 })
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        address: ipv4("192.0.2.1"),
        length: 13,
        identifier: 0x1234,
        sequence: 7,
        timeToLive: 61,
        roundTrip: 12.5
      })
    }).pipe(Effect.provide(stack)))

  it.effect("waits for the reply of that host, with that identifier and sequence", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(ping("192.0.2.1", { identifier: 1, sequence: 2 }), {
        startImmediately: true
      })
      yield* say(icmp(0, 0, 0x0001_0003))
      yield* say(icmp(0, 0, 0x0002_0002))
      yield* say(icmp(0, 0, 0x0001_0002), { source: "192.0.2.9" })
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { unexpectedReply: 3 })
      yield* say(icmp(0, 0, 0x0001_0002))
      assert.strictEqual((yield* Fiber.join(fiber)).sequence, 2)
      yield* say(icmp(0, 0, 0x0001_0002))
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { unexpectedReply: 4 })
    }).pipe(Effect.provide(stack)))

  it.effect("tells two hosts apart that are asked with the same identifier and sequence", () =>
    Effect.gen(function*() {
      const options = { identifier: 1, sequence: 2 }
      const one = yield* Effect.forkChild(ping("203.0.113.1", options), { startImmediately: true })
      const two = yield* Effect.forkChild(ping("203.0.113.2", options), { startImmediately: true })
      yield* say(icmp(0, 0, 0x0001_0002), { source: "203.0.113.2" })
      assert.deepEqual((yield* Fiber.join(two)).address, ipv4("203.0.113.2"))
      yield* say(icmp(0, 0, 0x0001_0002), { source: "203.0.113.1" })
      assert.deepEqual((yield* Fiber.join(one)).address, ipv4("203.0.113.1"))
    }).pipe(Effect.provide(stack)))

  it.effect("is given up after a second, or when it is told", () =>
    Effect.gen(function*() {
      const quick = yield* Effect.forkChild(Effect.flip(ping("192.0.2.1", { timeout: 200 })), {
        startImmediately: true
      })
      const usual = yield* Effect.forkChild(Effect.flip(ping("192.0.2.1")), { startImmediately: true })
      yield* TestClock.adjust(200)
      assert.strictEqual((yield* Fiber.join(quick)).message, "no reply in time")
      yield* TestClock.adjust(799)
      assert.isUndefined(usual.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(usual)).reason._tag, "PingTimedOut")
    }).pipe(Effect.provide(stack)))

  it.effect("leaves nothing behind when it is interrupted", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(ping("192.0.2.1", { identifier: 1 }), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* say(icmp(0, 0, 0x0001_0000))
      assert.deepStrictEqual(yield* counted("icmp.dropped."), { unexpectedReply: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("fails with the error a router sends", () =>
    Effect.gen(function*() {
      for (
        const [type, code, kind] of [[11, 0, "timeExceeded"], [3, 1, "hostUnreachable"], [3, 13, "prohibited"]] as const
      ) {
        const fiber = yield* Effect.forkChild(Effect.flip(ping("203.0.113.1")), { startImmediately: true })
        const [request] = yield* hear
        yield* say(icmp(type, code, 0, request!.bytes.subarray(0, 28)), { source: "198.51.100.7" })
        assert.strictEqual((yield* Fiber.join(fiber)).message, `${kind} (from 198.51.100.7)`)
      }
    }).pipe(Effect.provide(stack)))

  it.effect("does not take an error about something else for its own", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(ping("203.0.113.1"), { startImmediately: true })
      const [request] = yield* hear
      const word = new DataView(request!.body.buffer).getUint32(4)
      const reply = packet({ protocol: 1, source: "192.0.2.2", destination: "203.0.113.1", body: icmp(0, 0, word) })
      yield* say(icmp(3, 1, 0, reply))
      const other = packet({ protocol: 1, source: "192.0.2.2", destination: "203.0.113.9", body: request!.body })
      yield* say(icmp(3, 1, 0, other))
      yield* say(Uint8Array.from([0, ...icmp(0, 0, 0).subarray(1)]))
      assert.isUndefined(fiber.pollUnsafe())
      const answer = icmp(0, 0, word, request!.body.subarray(8))
      yield* say(answer, { source: "203.0.113.1" })
      assert.strictEqual((yield* Fiber.join(fiber)).length, 64)
    }).pipe(Effect.provide(stack)))

  it.effect("chooses an identifier that no other request uses", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(ping("192.0.2.1"), { startImmediately: true })
      )
      const [one, two] = yield* hear
      yield* say(icmp(0, 0, 5 * 0x1_0000))
      yield* say(icmp(0, 0, 6 * 0x1_0000))
      const replies = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(replies.map(({ identifier }) => identifier), [5, 6])
      assert.notDeepEqual(one!.body, two!.body)
    }).pipe(Effect.provide(
      Layer.mergeAll(Icmp.layer, Neighbour.layer()).pipe(
        Layer.provideMerge(NetworkStack.network),
        Layer.provideMerge(Layer.sync(Entropy, () => {
          const drawn = [5, 5, 5, 6]
          return { u32: () => 0, below: () => drawn.shift() ?? 0 }
        }))
      ),
      { local: true }
    )))

  it.effect("answers and replies of one batch each find their own", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, sequence) => sequence),
        (sequence) => Effect.forkChild(ping("192.0.2.1", { sequence }), { startImmediately: true })
      )
      for (const request of (yield* hear).toReversed()) {
        const reply = icmp(0, 0, new DataView(request.body.buffer).getUint32(4), request.body.subarray(8))
        yield* say(reply)
      }
      const replies = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(replies.map(({ sequence }) => sequence), Array.from({ length: 200 }, (_, index) => index))
    }).pipe(Effect.provide(stack)))
})
