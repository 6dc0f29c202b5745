import { assert, describe, it } from "@effect/vitest"
import { Statistics, Udp } from "@strata/core"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { UdpSocket } from "@strata/sockets"
import { Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { NetAddress } from "effect/net"
import { ip, layer, Network, raw } from "../support/fakeIpv4.ts"

const HOST = "192.0.2.2"
const OTHER_ADDRESS = "198.51.100.2"
const PEER = "192.0.2.1"

const stack = Layer.fresh(Udp.layer).pipe(Layer.provideMerge(layer([HOST, OTHER_ADDRESS])))
const test = (name: string, body: () => Effect.Effect<unknown, unknown, Udp | Network | Statistics | Scope.Scope>) =>
  it.effect(name, () => body().pipe(Effect.provide(stack)))

const arrive = (port: number, message: string, to = HOST) =>
  Effect.map(Network, (network) => {
    const payload = new TextEncoder().encode(message)
    const length = 8 + payload.length
    const octets = Uint8Array.of(0, 53, port >>> 8, port, length >>> 8, length, 0, 0, ...payload)
    network.receive(Protocol.udp, octets, { source: raw(PEER), destination: raw(to) })
  })

const peerAt = (port: number) => NetAddress.inetAddressUnsafe(ip(PEER), port) as NetAddress.InetAddressV4

const text = (payload: Uint8Array) => new TextDecoder().decode(payload)

describe("UdpSocket", () => {
  test("reads as a Stream, from the moment it is open", () =>
    Effect.gen(function*() {
      const socket = yield* UdpSocket.bind({ port: 7 })
      yield* arrive(7, "a")
      yield* arrive(7, "b")
      const fiber = yield* socket.datagrams.pipe(
        Stream.map(({ payload, source }) => `${text(payload)} from ${NetAddress.formatInet(source)}`),
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* arrive(7, "c")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["a", "b", "c"].map((letter) => `${letter} from ${PEER}:53`))
    }))

  test("passes a whole batch on as one chunk", () =>
    Effect.gen(function*() {
      const socket = yield* UdpSocket.bind({ port: 7 })
      for (let index = 0; index < 10; index++) yield* arrive(7, "x")
      const chunks: Array<number> = []
      yield* socket.datagrams.pipe(
        Stream.runForEachArray((chunk) => Effect.sync(() => chunks.push(chunk.length))),
        Effect.forkChild({ startImmediately: true })
      )
      assert.deepStrictEqual(chunks, [10])
    }))

  test("answers from the address that was asked", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const socket = yield* UdpSocket.bind({ port: 7 })
      yield* socket.datagrams.pipe(
        Stream.runForEach((datagram) => socket.reply(datagram, datagram.payload)),
        Effect.forkChild({ startImmediately: true })
      )
      yield* arrive(7, "echo", OTHER_ADDRESS)
      assert.strictEqual(sent.length, 1)
      assert.deepInclude(sent[0], { source: raw(OTHER_ADDRESS), destination: raw(PEER) })
      assert.strictEqual(text(sent[0]!.bytes.subarray(8)), "echo")
    }))

  test("sends a stream of answers, each from the address that was asked", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const socket = yield* UdpSocket.bind({ port: 7 })
      yield* socket.datagrams.pipe(
        Stream.map((datagram) => UdpSocket.answer(datagram, `${text(datagram.payload)}!`)),
        Stream.run(socket.outgoing),
        Effect.forkChild({ startImmediately: true })
      )
      yield* arrive(7, "one", OTHER_ADDRESS)
      yield* arrive(7, "two")
      assert.deepStrictEqual(
        sent.map(({ bytes, destination, source }) => [source, destination, text(bytes.subarray(8))]),
        [[raw(OTHER_ADDRESS), raw(PEER), "one!"], [raw(HOST), raw(PEER), "two!"]]
      )
      assert.deepStrictEqual(sent.map(({ bytes }) => new DataView(bytes.buffer).getUint16(2)), [53, 53])
    }))

  test("loses of a stream what the network does not take, and goes on", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const socket = yield* UdpSocket.bind({ port: 7 })
      const outgoing = (ports: ReadonlyArray<number>) =>
        Stream.run(
          Stream.fromIterable(ports.map((port) => ({ payload: Uint8Array.of(port), destination: peerAt(port) }))),
          socket.outgoing
        )
      yield* outgoing([53, 0, 54])
      network.result = "dropped"
      yield* outgoing([55])
      network.result = "sent"
      yield* outgoing([56])
      assert.deepStrictEqual(network.sent.map(({ bytes }) => bytes[8]), [53, 54, 56])
      const { snapshot } = yield* Statistics
      assert.deepInclude(yield* snapshot, { "udp.sent": 3, "udp.lost": 2 })
    }))

  test("fails with what of a stream can never be sent", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const socket = yield* UdpSocket.bind({ port: 7 })
      const reasonOf = (...payloads: ReadonlyArray<UdpSocket.Outgoing>) =>
        Effect.map(
          Effect.flip(Stream.run(Stream.fromIterable(payloads), socket.outgoing)),
          ({ reason }) => reason._tag
        )
      const destination = peerAt(53)
      assert.strictEqual(yield* reasonOf({ payload: Uint8Array.of(1) }), "NoDestination")
      assert.strictEqual(
        yield* reasonOf(
          { payload: Uint8Array.of(2), destination },
          { payload: new Uint8Array(65508), destination },
          { payload: Uint8Array.of(3), destination }
        ),
        "MessageTooLarge"
      )
      assert.deepStrictEqual(sent.map(({ bytes }) => bytes[8]), [2])
    }))

  test("sends text and bytes, to an address or to text that names one", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const socket = yield* UdpSocket.bind({ address: HOST, port: 7 })
      yield* socket.send("text", `${PEER}:53`)
      yield* socket.send(Uint8Array.of(1, 2), NetAddress.inetAddressUnsafe(ip(PEER), 54) as NetAddress.InetAddressV4)
      assert.deepStrictEqual(sent.map(({ bytes }) => new DataView(bytes.buffer).getUint16(2)), [53, 54])
      assert.strictEqual(text(sent[0]!.bytes.subarray(8)), "text")
    }))

  test("knows its addresses", () =>
    Effect.gen(function*() {
      const open = yield* UdpSocket.bind({ port: 7 })
      assert.strictEqual(NetAddress.formatInet(open.local), "0.0.0.0:7")
      assert.isUndefined(open.remote)
      const connected = yield* UdpSocket.connect({ remote: `${PEER}:53` })
      assert.strictEqual(NetAddress.formatIp(connected.local.address), HOST)
      assert.strictEqual(NetAddress.formatInet(connected.remote!), `${PEER}:53`)
      yield* connected.send("to the peer")
      assert.strictEqual((yield* Network).sent[0]?.destination, raw(PEER))
    }))

  test("refuses text that is no address", () =>
    Effect.gen(function*() {
      const socket = yield* UdpSocket.bind()
      for (const destination of ["example.org:7", "192.0.2.1", "[2001:db8::1]:7", ""]) {
        const error = yield* Effect.flip(socket.send("x", destination))
        assert.strictEqual(error.reason._tag, "InvalidAddress")
        assert.include(error.message, `${destination} is not an address`)
      }
      assert.strictEqual((yield* Effect.flip(UdpSocket.bind({ address: "::1" }))).reason._tag, "InvalidAddress")
    }))

  test("a refused peer ends the Stream with that error, and another run goes on", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const socket = yield* UdpSocket.connect({ remote: `${PEER}:53` })
      const quoted = Uint8Array.of(socket.local.port >>> 8, socket.local.port, 0, 53, 0, 8, 0, 0)
      const addresses = { source: raw(HOST), destination: raw(PEER) }
      network.reportError(
        Protocol.udp,
        { kind: "portUnreachable", mtu: 0, reporter: raw(PEER), ...addresses },
        quoted
      )
      const error = yield* Effect.flip(Stream.runDrain(socket.datagrams))
      assert.strictEqual(error.reason._tag, "Refused")
      yield* arrive(socket.local.port, "back")
      const [datagram] = yield* socket.datagrams.pipe(Stream.take(1), Stream.runCollect)
      assert.strictEqual(text(datagram!.payload), "back")
    }))

  test("counts what a slow reader lost", () =>
    Effect.gen(function*() {
      const socket = yield* UdpSocket.bind({ port: 7, capacity: 2 })
      for (let index = 0; index < 5; index++) yield* arrive(7, "x")
      assert.strictEqual(yield* socket.dropped, 3)
    }))

  test("its Stream ends when the socket is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const socket = yield* Scope.provide(UdpSocket.bind(), scope)
      const fiber = yield* Effect.forkChild(Stream.runDrain(socket.datagrams), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.reason._tag, "SocketClosed")
    }))
})
