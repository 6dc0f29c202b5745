/**
 * What the table of behaviours does not show of strata's datagram sockets: what is theirs alone, and their bounds.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import { Statistics, Udp } from "@strata/core"
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import { makeDgram } from "@strata/sockets/node/Dgram"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { once } from "node:events"
import { layer, Network, raw } from "../support/fakeIpv4.ts"

const HOST = "192.0.2.2"
const PEER = "192.0.2.1"

const stack = Layer.fresh(Udp.layer).pipe(Layer.provideMerge(layer([HOST], ["192.0.2.255"])))
const test = (name: string, body: () => Effect.Effect<unknown, unknown, Udp | Network | Statistics | Scope.Scope>) =>
  it.live(name, () => body().pipe(Effect.provide(stack)))

/** A datagram of the peer's. */
const datagram = (port: number, payload: Uint8Array): Uint8Array => {
  const length = UdpHeader.size + payload.length
  const octets = new Uint8Array(length)
  const view = new DataView(octets.buffer)
  UdpHeader.write(view, 0, { sourcePort: 53, destinationPort: port, length, checksum: 0 })
  octets.set(payload, UdpHeader.size)
  const sum = Checksum.add(Checksum.pseudoHeader(raw(PEER), raw(HOST), Protocol.udp, length), octets, 0, length)
  UdpHeader.set.checksum(view, 0, Checksum.finish(sum) || 0xffff)
  return octets
}

const bound = Effect.gen(function*() {
  const network = yield* Network
  const socket = (yield* makeDgram).createSocket("udp4")
  const { port } = socket.bindSync()
  return {
    socket,
    port,
    arrive: (payload: Uint8Array) =>
      network.receive(Protocol.udp, datagram(port, payload), {
        source: raw(PEER),
        destination: raw(HOST),
        kind: "local"
      })
  }
})

const tick = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** For want of room. */
const dropped = Effect.map(
  Effect.flatMap(Statistics, ({ snapshot }) => snapshot),
  (counters) => counters["udp.dropped.queueFull"] ?? 0
)

describe("a datagram socket", () => {
  test("keeps what fits into its receive buffer until the program gets it, and drops the rest", () =>
    Effect.gen(function*() {
      const { arrive, socket } = yield* bound
      const sizes: Array<number> = []
      socket.on("message", (message) => sizes.push(message.length))
      socket.setRecvBufferSize(1000)
      for (let index = 0; index < 20; index++) arrive(new Uint8Array(300))
      yield* tick
      assert.deepStrictEqual(sizes, [300, 300, 300])
      assert.strictEqual(yield* dropped, 17)
      // One that is larger than all of it is taken when nothing else is there.
      arrive(new Uint8Array(1400))
      arrive(new Uint8Array(1))
      yield* tick
      assert.deepStrictEqual(sizes.slice(3), [1400])
      assert.strictEqual(yield* dropped, 18)
    }))

  test("hands over thousands that came at once, in order, and each when the promises of the one before are settled", () =>
    Effect.gen(function*() {
      const { arrive, socket } = yield* bound
      const count = 5000
      const heard: Array<number> = []
      const listening = (async () => {
        while (heard.length < count) {
          const [message] = await once(socket, "message") as [Buffer]
          heard.push(message.readUInt32BE())
        }
      })()
      for (let index = 0; index < count; index++) {
        const payload = new Uint8Array(4)
        new DataView(payload.buffer).setUint32(0, index)
        arrive(payload)
      }
      yield* Effect.promise(() => listening)
      assert.deepStrictEqual(heard, Array.from({ length: count }, (_, index) => index))
    }))

  test("gives each message memory of its own", () =>
    Effect.gen(function*() {
      const { arrive, socket } = yield* bound
      const messages: Array<Buffer> = []
      socket.on("message", (message) => messages.push(message))
      for (const octet of [1, 2]) arrive(Uint8Array.of(octet))
      yield* tick
      messages[0]!.fill(9)
      assert.deepStrictEqual(messages.map((message) => [...message]), [[9], [2]])
    }))

  test("sends with what it was told: its times to live, and whether a group on this host hears it", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const { socket } = yield* bound
      socket.setTTL(7)
      socket.setMulticastTTL(3)
      socket.setMulticastLoopback(false)
      socket.send("x", 9, PEER)
      socket.send("x", 9, "239.1.1.1")
      yield* tick
      assert.deepStrictEqual(network.sent.map(({ timeToLive }) => timeToLive), [7, 3])
      assert.isFalse(network.sent[1]!.looped)
    }))

  test("is closed with the scope of its stack, and says so", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { createSocket } = yield* Scope.provide(makeDgram, scope)
      const socket = createSocket("udp4")
      socket.bindSync()
      const closed = once(socket, "close")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => closed)
      expect(() => socket.send("x", 9)).toThrow(expect.objectContaining({ code: "ERR_SOCKET_DGRAM_NOT_RUNNING" }))
    }))

  test("that waits for its port, to be closed then, is closed with the scope, and once", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { createSocket } = yield* Scope.provide(makeDgram, scope)
      const events: Array<string> = []
      const socket = createSocket("udp4")
      for (const event of ["listening", "close"] as const) socket.on(event, () => events.push(event))
      socket.send("x", 9, PEER)
      socket.close()
      yield* Scope.close(scope, Exit.void)
      yield* tick
      assert.deepStrictEqual(events, ["close"])
    }))

  test("that was closed does not connect", () =>
    Effect.gen(function*() {
      const { socket } = yield* bound
      socket.close()
      expect(() => socket.connect(9, PEER)).toThrow(
        expect.objectContaining({ code: "ERR_SOCKET_DGRAM_NOT_RUNNING" })
      )
    }))

  test("of IPv6 says when it is bound that there is none", () =>
    Effect.gen(function*() {
      const { createSocket } = yield* makeDgram
      const socket = createSocket("udp6")
      const error = new Promise((resolve) => socket.once("error", resolve))
      socket.bind(53)
      expect(yield* Effect.promise(() => error)).toMatchObject({
        code: "EAFNOSUPPORT",
        message: "bind EAFNOSUPPORT :::53",
        syscall: "bind",
        address: "::",
        port: 53
      })
    }))

  test("has no file descriptors", () =>
    Effect.gen(function*() {
      const { createSocket } = yield* makeDgram
      expect(() => createSocket("udp4").bind({ fd: 3 })).toThrow("strata has no file descriptors")
    }))
})
