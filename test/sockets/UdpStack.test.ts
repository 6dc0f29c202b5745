/**
 * UDP sockets over whole stacks: two hosts on a wire, and one that talks to itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { NetworkStack, Routing, Statistics } from "@strata/core"
import { Loopback, Wire } from "@strata/drivers"
import { UdpSocket } from "@strata/sockets"
import { Effect, Exit, Fiber, Layer, Result, Scope, Stream } from "effect"
import { IpInterface, NetAddress } from "effect/net"
import { TestClock } from "effect/testing"

const ALICE = "192.0.2.1"
const BOB = "192.0.2.2"
const BOB_TOO = "198.51.100.2"

const host = (end: Wire.End, address: string, seed: number) =>
  Layer.fresh(
    Layer.mergeAll(Loopback.layer, Wire.layer(end, { address: `${address}/24` })).pipe(
      Layer.provideMerge(NetworkStack.layerSeeded(seed))
    )
  )

/** Two hosts; what they say is kept. */
const twoHosts = Effect.gen(function*() {
  const wire = Wire.make()
  const alice = Effect.provide(yield* Layer.build(host(wire.left, ALICE, 1)))
  const bob = Effect.provide(yield* Layer.build(host(wire.right, BOB, 2)))
  const frames: Array<Wire.Frame> = []
  wire.onFrame((frame) => frames.push(frame))
  return { alice, bob, frames }
})

const pattern = (length: number) => Uint8Array.from({ length }, (_, index) => Math.imul(index, 0x9e37_79b1) >>> 24)

const echo = Effect.fnUntraced(function*(options: UdpSocket.BindOptions) {
  const socket = yield* UdpSocket.bind(options)
  yield* socket.datagrams.pipe(
    Stream.runForEach((datagram) => socket.reply(datagram, datagram.payload)),
    Effect.forkScoped({ startImmediately: true })
  )
})

const next = (socket: UdpSocket.UdpSocket) =>
  Effect.map(socket.datagrams.pipe(Stream.take(1), Stream.runCollect), ([datagram]) => datagram!)

const addressOf = (text: string) => Result.getOrThrow(IpInterface.ipv4FromString(text))

describe("UDP between two hosts", () => {
  it.effect("carries datagrams of every size there and back, in fragments where it must", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      yield* bob(echo({ port: 7 }))
      const socket = yield* alice(UdpSocket.connect({ remote: `${BOB}:7` }))
      for (const length of [65507, 0, 1, 17, 18, 1471, 1472, 1473, 2952, 2953, 65506, 65507]) {
        const payload = pattern(length)
        yield* socket.send(payload)
        const answer = yield* next(socket)
        assert.strictEqual(NetAddress.formatInet(answer.source), `${BOB}:7`)
        assert.deepStrictEqual(answer.payload, payload)
      }
    }))

  it.effect("what a socket knows of the way to its peer ends with the next change of addresses and routes", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      const receiver = yield* bob(UdpSocket.bind({ port: 7 }))
      const sender = yield* alice(UdpSocket.bind())
      const routing = yield* alice(Routing)
      const say = (text: string) => sender.send(text, `${BOB}:7`)
      const heard = Effect.map(next(receiver), ({ payload, source }) => [
        new TextDecoder().decode(payload),
        NetAddress.formatIp(source.address)
      ])
      yield* say("one")
      assert.deepStrictEqual(yield* heard, ["one", ALICE])
      yield* routing.addAddress("eth0", addressOf("192.0.2.9/24"))
      yield* routing.removeAddress("eth0", addressOf(`${ALICE}/24`).address)
      yield* say("two")
      assert.deepStrictEqual(yield* heard, ["two", "192.0.2.9"])
      yield* routing.removeAddress("eth0", addressOf("192.0.2.9/24").address)
      assert.strictEqual((yield* Effect.flip(say("three"))).reason._tag, "Unreachable")
    }))

  it.effect("a thousand datagrams in one go arrive in order", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      const receiver = yield* bob(UdpSocket.bind({ port: 7 }))
      const sender = yield* alice(UdpSocket.connect({ remote: `${BOB}:7` }))
      yield* sender.send("resolve")
      yield* next(receiver)
      for (let index = 0; index < 1000; index++) yield* sender.send(`${index}`)
      const received = yield* receiver.datagrams.pipe(Stream.take(1000), Stream.runCollect)
      const numbers = received.map(({ payload }) => Number(new TextDecoder().decode(payload)))
      assert.deepStrictEqual(numbers, Array.from({ length: 1000 }, (_, index) => index))
    }))

  it.effect("a port that nobody has is refused, in the time of one exchange", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      const socket = yield* alice(UdpSocket.connect({ remote: `${BOB}:9` }))
      yield* socket.send("anybody?")
      const error = yield* Effect.flip(next(socket))
      assert.strictEqual(error.message, `nothing listens on udp ${BOB}:9`)
      yield* bob(echo({ port: 9 }))
      yield* socket.send("now?")
      assert.strictEqual(new TextDecoder().decode((yield* next(socket)).payload), "now?")
    }))

  it.effect("a host that is not there is unreachable once nobody has answered for it", () =>
    Effect.gen(function*() {
      const { alice } = yield* twoHosts
      const socket = yield* alice(UdpSocket.connect({ remote: "192.0.2.77:7" }))
      yield* socket.send("hello?")
      const fiber = yield* Effect.forkChild(Effect.flip(next(socket)), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.message, "192.0.2.77:7 is unreachable: hostUnreachable")
    }))

  it.effect("an answer comes from the address that was asked, also from another than the route's", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      yield* bob(Effect.flatMap(Routing, (routing) => routing.addAddress("eth0", addressOf(`${BOB_TOO}/24`))))
      yield* alice(Effect.flatMap(Routing, (routing) => routing.addAddress("eth0", addressOf("198.51.100.1/24"))))
      yield* bob(echo({ port: 7 }))
      for (const remote of [BOB, BOB_TOO]) {
        const socket = yield* alice(UdpSocket.connect({ remote: `${remote}:7`, address: ALICE }))
        yield* socket.send("who is there?")
        assert.strictEqual(NetAddress.formatInet((yield* next(socket)).source), `${remote}:7`)
      }
    }))

  it.effect("broadcasts reach the other host, limited and directed, and are never refused", () =>
    Effect.gen(function*() {
      const { alice, bob, frames } = yield* twoHosts
      const receiver = yield* bob(UdpSocket.bind({ port: 7 }))
      const sender = yield* alice(UdpSocket.bind({ broadcast: true }))
      for (const destination of ["255.255.255.255", "192.0.2.255"]) {
        yield* sender.send("all", `${destination}:7`)
        const { destination: received, source } = yield* next(receiver)
        assert.strictEqual(NetAddress.formatIp(received), destination)
        assert.strictEqual(NetAddress.formatIp(source.address), ALICE)
      }
      yield* sender.send("nobody", "192.0.2.255:9")
      yield* sender.send("marker", "192.0.2.255:7")
      yield* next(receiver)
      assert.isFalse(frames.some(({ from }) => from === "right"))
    }))

  it.effect("what a slow reader loses is counted by its socket and by the stack", () =>
    Effect.gen(function*() {
      const { alice, bob } = yield* twoHosts
      const slow = yield* bob(UdpSocket.bind({ port: 7, capacity: 10 }))
      const quick = yield* bob(UdpSocket.bind({ port: 8 }))
      const sender = yield* alice(UdpSocket.bind())
      for (let index = 0; index < 15; index++) yield* sender.send("x", `${BOB}:7`)
      yield* sender.send("marker", `${BOB}:8`)
      yield* next(quick)
      const statistics = yield* bob(Effect.flatMap(Statistics, ({ snapshot }) => snapshot))
      const dropped = yield* slow.dropped
      assert.isAbove(dropped, 0)
      assert.strictEqual(statistics["udp.dropped.queueFull"], dropped)
    }))

  it.effect("the end of a stack ends its sockets", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const stack = yield* Layer.buildWithScope(host(Wire.make().left, ALICE, 1), scope)
      const socket = yield* UdpSocket.bind({ port: 7 }).pipe(Effect.provide(stack))
      const fiber = yield* Effect.forkChild(Effect.flip(next(socket)), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "SocketClosed")
      assert.strictEqual((yield* Effect.flip(socket.send("late", `${BOB}:7`))).reason._tag, "SocketClosed")
    }))
})

describe("UDP within one host", () => {
  const alone = host(Wire.make().left, ALICE, 1)

  for (const address of ["127.0.0.1", "127.9.8.7", ALICE]) {
    it.effect(`reaches itself as ${address}, in one piece up to the largest datagram`, () =>
      Effect.gen(function*() {
        yield* echo({ port: 7 })
        const socket = yield* UdpSocket.connect({ remote: `${address}:7` })
        for (const length of [0, 100, 65507]) {
          yield* socket.send(pattern(length))
          assert.deepStrictEqual((yield* next(socket)).payload, pattern(length))
        }
        const closed = yield* UdpSocket.connect({ remote: `${address}:9` })
        yield* closed.send("anybody?")
        assert.strictEqual((yield* Effect.flip(next(closed))).reason._tag, "Refused")
      }).pipe(Effect.provide(alone)))
  }
})
