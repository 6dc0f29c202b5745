/**
 * The accept queue, seen from the wire.
 */
import { describe, expect, it } from "@effect/vitest"
import { NetworkStack, Statistics, Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { Probe, tcp, TcpFlag } from "../../support/Probe.ts"

const { ack, psh, rst, syn } = TcpFlag
const stack = Probe.layer().pipe(Layer.provideMerge(NetworkStack.layer))
const settle = TestClock.adjust(0)

const host = Effect.fnUntraced(function*(options: { readonly backlog: number; readonly synCookies?: "off" }) {
  const probe = yield* Probe
  const service = yield* Tcp
  const listener = yield* service.listen({ port: 7, ...options })
  /** SYN; tells the sequence number of the answer. */
  const knock = (from: number) => {
    probe.send(tcp({ from, to: 7, seq: 1000, flags: syn }))
    const [answer] = probe.takeTcp()
    return answer!.seq
  }
  const confirm = (from: number, iss: number, segment: Partial<Parameters<typeof tcp>[0]> = {}) =>
    probe.send(tcp({ from, to: 7, seq: 1001, ack: iss + 1, ...segment }))
  const count = Effect.map((yield* Statistics).snapshot, (all) => (name: string) => all[`tcp.${name}`] ?? 0)
  const states = Effect.map(
    service.status,
    (all) =>
      all.filter(({ state }) => state !== "LISTEN").map(({ remote, state }) => `${remote.port} ${state}`).toSorted()
  )
  return { confirm, count, knock, listener, probe, states }
})

describe("while the accept queue is full", () => {
  it.effect("what would establish a connection waits, and counts as soon as there is room", () =>
    Effect.gen(function*() {
      const { confirm, count, knock, listener, probe, states } = yield* host({ backlog: 2 })
      const first = knock(5001)
      const second = knock(5002)
      const byCookie = knock(5003)
      confirm(5003, byCookie)
      confirm(5001, first)
      confirm(5002, second)
      expect(yield* states).toEqual(["5001 ESTABLISHED", "5002 SYN-RECEIVED", "5003 ESTABLISHED"])
      expect((yield* count)("dropped.acceptQueueFull")).toBe(1)
      expect(probe.takeTcp()).toEqual([])

      expect((yield* listener.accept).remote.port).toBe(5003)
      expect(yield* states).toEqual(["5001 ESTABLISHED", "5002 ESTABLISHED", "5003 ESTABLISHED"])
      expect((yield* listener.accept).remote.port).toBe(5001)
      const last = yield* listener.accept
      confirm(5002, second, { flags: ack | psh, text: new TextEncoder().encode("here I am") })
      expect(Buffer.concat(yield* last.read).toString()).toBe("here I am")
    }).pipe(Effect.provide(stack, { local: true })))

  it.effect("a peer that is reminded by the SYN,ACK may try again, and a reset is still believed", () =>
    Effect.gen(function*() {
      const { confirm, knock, listener, probe, states } = yield* host({ backlog: 1 })
      const first = knock(5001)
      const byCookie = knock(5002)
      confirm(5002, byCookie)
      confirm(5001, first)
      yield* TestClock.adjust("1 second")
      expect(probe.takeTcp()).toMatchObject([{ destinationPort: 5001, flags: syn | ack }])
      confirm(5001, first, { flags: rst })
      expect(yield* states).toEqual(["5002 ESTABLISHED"])
      expect((yield* listener.accept).remote.port).toBe(5002)
      expect(yield* states).toEqual(["5002 ESTABLISHED"])
    }).pipe(Effect.provide(stack, { local: true })))

  it.effect("a cookie that comes back is not used up", () =>
    Effect.gen(function*() {
      const { confirm, count, knock, listener, probe, states } = yield* host({ backlog: 1 })
      knock(5001)
      const cookies = [knock(5002), knock(5003)]
      confirm(5002, cookies[0]!)
      confirm(5003, cookies[1]!)
      expect((yield* count)("dropped.acceptQueueFull")).toBe(1)
      yield* listener.accept
      confirm(5003, cookies[1]!, { flags: ack | psh, text: new TextEncoder().encode("late") })
      const late = yield* listener.accept
      expect(Buffer.concat(yield* late.read).toString()).toBe("late")
      expect(yield* states).toEqual(["5001 SYN-RECEIVED", "5002 ESTABLISHED", "5003 ESTABLISHED"])
      expect(probe.takeTcp().filter(({ flags }) => (flags & rst) !== 0)).toEqual([])
    }).pipe(Effect.provide(stack, { local: true })))

  it.effect("a SYN is dropped, with or without cookies", () =>
    Effect.gen(function*() {
      const { confirm, count, knock, probe } = yield* host({ backlog: 1 })
      confirm(5001, knock(5001))
      probe.send(tcp({ from: 5002, to: 7, seq: 1000, flags: syn }))
      expect(probe.takeTcp()).toEqual([])
      expect((yield* count)("dropped.acceptQueueFull")).toBe(1)
    }).pipe(Effect.provide(stack, { local: true })))
})

describe("acknowledgements that bring back no cookie", () => {
  it.effect("are answered by resets, and counted while cookies are out", () =>
    Effect.gen(function*() {
      const { confirm, count, knock, probe, states } = yield* host({ backlog: 1 })
      confirm(6000, 77)
      expect(probe.takeTcp()).toMatchObject([{ flags: rst, seq: 78 }])
      expect((yield* count)("synCookiesFailed")).toBe(0)

      knock(5001)
      const cookie = knock(5002)
      for (let bit = 0; bit < 32; bit++) confirm(5002, (cookie ^ (1 << bit)) >>> 0)
      confirm(5003, cookie)
      confirm(5002, cookie, { seq: 1002 })
      expect(probe.takeTcp().map(({ flags }) => flags)).toEqual(Array.from({ length: 34 }, () => rst))
      expect((yield* count)("synCookiesFailed")).toBe(34)
      expect(yield* states).toEqual(["5001 SYN-RECEIVED"])
      confirm(5002, cookie, { flags: rst })
      expect(yield* states).toEqual(["5001 SYN-RECEIVED"])
      confirm(5002, cookie)
      expect(yield* states).toEqual(["5001 SYN-RECEIVED", "5002 ESTABLISHED"])
    }).pipe(Effect.provide(stack, { local: true })))

  it.effect("nor that bring it too late", () =>
    Effect.gen(function*() {
      const { confirm, knock, probe, states } = yield* host({ backlog: 1 })
      knock(5001)
      const early = knock(5002)
      const late = knock(5003)
      yield* TestClock.adjust("60 seconds")
      confirm(5002, early)
      yield* TestClock.adjust("70 seconds")
      yield* settle
      probe.takeTcp()
      confirm(5003, late)
      expect(probe.takeTcp()).toMatchObject([{ flags: rst }])
      expect(yield* states).toEqual(["5002 ESTABLISHED"])
    }).pipe(Effect.provide(stack, { local: true })))
})

describe("acceptWith", () => {
  it.effect("hands a connection over in the turn that establishes it, and no scope closes it", () =>
    Effect.gen(function*() {
      const { confirm, knock, listener, states } = yield* host({ backlog: 1 })
      const taken: Array<number> = []
      const accepting = yield* Effect.forkChild(
        Effect.scoped(listener.acceptWith((connection) => taken.push(connection.remote.port))),
        { startImmediately: true }
      )
      confirm(5001, knock(5001))
      expect(taken).toEqual([5001])
      expect(yield* Fiber.join(accepting)).toBe(1)
      confirm(5002, knock(5002))
      expect(taken).toEqual([5001])
      expect(yield* listener.acceptWith(({ remote }) => remote.port)).toBe(5002)
      expect(yield* states).toEqual(["5001 ESTABLISHED", "5002 ESTABLISHED"])
    }).pipe(Effect.provide(stack, { local: true })))

  it.effect("whose connections tell once when they are closed", () =>
    Effect.gen(function*() {
      const { confirm, knock, listener } = yield* host({ backlog: 1 })
      const iss = knock(5001)
      confirm(5001, iss)
      const told: Array<string> = []
      const connection = yield* listener.acceptWith((accepted) => accepted)
      connection.whenClosed(() => told.push("first"))
      connection.whenClosed(() => told.push("second"))
      confirm(5001, iss, { flags: ack | psh, text: Uint8Array.of(1) })
      expect(told).toEqual([])
      confirm(5001, iss, { flags: rst, seq: 1002 })
      expect(told).toEqual(["first", "second"])
      connection.whenClosed(() => told.push("late"))
      expect(told).toEqual(["first", "second", "late"])
    }).pipe(Effect.provide(stack, { local: true })))
})
