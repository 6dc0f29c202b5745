/**
 * What the table of behaviours does not show of strata's datagram sockets: what is theirs alone, and their bounds.
 */
import { assert, describe, expect, it, vi } from "@effect/vitest"
import { Statistics, Turn, Udp } from "@strata/core"
import { makeDgram } from "@strata/sockets/node/Dgram"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { layer, Network } from "../support/fakeIpv4.ts"
import { arriving, HOST, PEER } from "../support/udpDatagram.ts"
import { uncaught } from "./behaviours/world.ts"

const stack = Layer.fresh(Udp.layer).pipe(Layer.provideMerge(layer([HOST], ["192.0.2.255"])))
const test = (
  name: string,
  body: () => Effect.Effect<unknown, unknown, Udp | Network | Statistics | Turn | Scope.Scope>
) => it.live(name, () => body().pipe(Effect.provide(stack)))

const bound = Effect.gen(function*() {
  const socket = (yield* makeDgram).createSocket("udp4")
  const { port } = socket.bindSync()
  return { socket, port, arrive: yield* arriving(port) }
})

/** As datagram sockets see it: it stands still but for what the program adds. */
const stillClock = Effect.gen(function*() {
  const clock = { now: 0 }
  const spy = vi.spyOn(performance, "now").mockImplementation(() => clock.now)
  yield* Effect.addFinalizer(() => Effect.sync(() => spy.mockRestore()))
  return clock
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

  test("answers what arrived at once together, sixteen at a time, whenever its listeners get to it", () =>
    Effect.gen(function*() {
      yield* stillClock
      const network = yield* Network
      const { arrive, socket } = yield* bound
      socket.on("message", (message, { address, port }) => socket.send(message, port, address))
      for (let index = 0; index < 20; index++) arrive(Uint8Array.of(index))
      yield* tick
      assert.deepStrictEqual(network.sent.map(({ bytes }) => bytes.at(-1)), Array.from({ length: 20 }, (_, at) => at))
      assert.deepStrictEqual(network.flushed.splice(0), [16, 4])
      socket.removeAllListeners("message")
      socket.on("message", async (message, { address, port }) => {
        await Promise.resolve()
        socket.send(message, port, address)
      })
      for (let index = 0; index < 5; index++) arrive(Uint8Array.of(index))
      yield* tick
      // Nobody knows that the last listener is not done when it returns.
      assert.deepStrictEqual(network.flushed, [4, 1])
    }))

  test("asks for a tick when something arrives, and not again before it has come", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const { arrive } = yield* bound
      const asked: Array<boolean> = []
      for (let round = 0; round < 2; round++) {
        for (let index = 0; index < 2; index++) {
          arrive(Uint8Array.of(index))
          asked.push(turn.takeTickRequest())
        }
        yield* tick
      }
      assert.deepStrictEqual(asked, [true, false, true, false])
    }))

  test("sends together what a program sends in a row, before the first callback", () =>
    Effect.gen(function*() {
      yield* stillClock
      const network = yield* Network
      const { socket } = yield* bound
      const seen: Array<unknown> = []
      const sent = (error: Error | null, octets: number) => seen.push(error ?? octets, [...network.flushed])
      for (const text of ["a", "bb", "ccc"]) socket.send(text, 9, PEER, sent)
      yield* tick
      assert.deepStrictEqual(seen, [1, [3], 2, [3], 3, [3]])
      socket.send("alone", 9, PEER)
      yield* tick
      assert.deepStrictEqual(network.flushed, [3, 1])
    }))

  test("keeps what it was given until it has left: the memory is the program's in the next tick", () =>
    Effect.gen(function*() {
      yield* stillClock
      const network = yield* Network
      const { arrive, socket } = yield* bound
      const scratch = new Uint8Array(1)
      socket.on("message", (message) => {
        scratch.set(message)
        socket.send(scratch, 9, PEER)
      })
      for (const octet of [1, 2, 3]) arrive(Uint8Array.of(octet))
      yield* tick
      assert.deepStrictEqual(network.sent.map(({ bytes }) => bytes.at(-1)), [1, 2, 3])
      assert.deepStrictEqual(network.flushed, [3])
    }))

  test("does not let answers wait for a listener that takes long", () =>
    Effect.gen(function*() {
      const clock = yield* stillClock
      const network = yield* Network
      const { arrive, socket } = yield* bound
      const before: Array<number> = []
      socket.on("message", () => {
        before.push(network.flushed.length)
        socket.send("x", 9, PEER)
        clock.now += 3
      })
      for (let index = 0; index < 4; index++) arrive(Uint8Array.of(index))
      yield* tick
      // Each waits for one other listener at the most.
      assert.deepStrictEqual(before, [0, 0, 1, 1])
      assert.deepStrictEqual(network.flushed, [2, 2])
    }))

  test("sends what was answered before a listener throws", () =>
    Effect.gen(function*() {
      yield* stillClock
      const network = yield* Network
      const { arrive, socket } = yield* bound
      const caught = uncaught()
      socket.on("message", (message) => {
        if (message[0] === 2) throw new Error("from a listener")
        socket.send(message, 9, PEER)
      })
      for (const octet of [1, 2, 3]) arrive(Uint8Array.of(octet))
      assert.strictEqual((yield* Effect.promise(() => caught)).message, "from a listener")
      yield* tick
      assert.deepStrictEqual(network.sent.map(({ bytes }) => bytes.at(-1)), [1, 3])
      assert.strictEqual(network.flushed.reduce((sum, count) => sum + count, 0), 2)
    }))

  test("sends what was answered before a listener ends the process", () =>
    Effect.gen(function*() {
      const program = fileURLToPath(new URL("programs/exits.ts", import.meta.url))
      const { stdout } = yield* Effect.promise(() => promisify(execFile)(process.execPath, [program]))
      const flushed = JSON.parse(stdout) as ReadonlyArray<number>
      assert.strictEqual(flushed.reduce((sum, count) => sum + count, 0), 2)
    }))

  test("listens for the end of the process once, and no longer than its adapter is there", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const before = process.listenerCount("exit")
      const { createSocket } = yield* Scope.provide(makeDgram, scope)
      const sockets = [createSocket("udp4"), createSocket("udp4")]
      for (const socket of sockets) {
        socket.bindSync()
        for (let index = 0; index < 3; index++) socket.send("x", 9, PEER)
        yield* tick
      }
      assert.strictEqual(process.listenerCount("exit"), before + 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(process.listenerCount("exit"), before)
    }))

  test("keeps nothing back while too many listen for the end of the process", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const { socket } = yield* bound
      const listeners = Array.from({ length: process.getMaxListeners() / 2 }, () => () => {})
      for (const listener of listeners) process.on("exit", listener)
      for (let index = 0; index < 3; index++) socket.send("x", 9, PEER)
      yield* tick
      for (const listener of listeners) process.removeListener("exit", listener)
      assert.deepStrictEqual(network.flushed, [1, 1, 1])
    }))

  test("drops what arrives for a port that it has joined a group with, but not bound, under a name of its own", () =>
    Effect.gen(function*() {
      const socket = (yield* makeDgram).createSocket("udp4")
      socket.addMembership("239.1.1.1")
      const arrive = yield* arriving(socket.address().port)
      arrive(Uint8Array.of(1))
      const counters = yield* Effect.flatMap(Statistics, ({ snapshot }) => snapshot)
      assert.strictEqual(counters["udp.dropped.notReading"], 1)
      assert.strictEqual(yield* dropped, 0)
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
