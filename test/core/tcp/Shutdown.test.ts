/**
 * A device that is taken out of the stack under connections whose programs are done.
 */
import { describe, expect, it } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { Probe, type SentSegment, tcp, TcpFlag } from "../../support/Probe.ts"

const { ack, fin, rst, syn } = TcpFlag
const settle = TestClock.adjust(0)

const octetsOf = (segments: ReadonlyArray<SentSegment>): number =>
  segments.reduce((sum, segment) => sum + segment.text.length, 0)

/** A connection with 5000 octets on their way that no program holds any more, and the scope of its device. */
const abandoned = Effect.gen(function*() {
  const device = yield* Scope.make()
  const probe = Context.get(yield* Layer.buildWithScope(Probe.layer(), device), Probe)
  const say = (segment: Partial<Parameters<typeof tcp>[0]>) =>
    probe.send(tcp({ from: 40_000, to: 7, seq: 1001, ...segment }))
  const next = yield* Effect.scoped(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: 7 })
    say({ seq: 1000, flags: syn })
    const first = (probe.takeTcp()[0]!.seq + 1) >>> 0
    say({ ack: first })
    const connection = yield* listener.accept
    yield* connection.write(new Uint8Array(5000))
    return first
  }))
  yield* settle
  return { probe, say, next, close: Scope.close(device, Exit.void) }
})

describe("a device that goes", () => {
  it.effect("waits until the peer has everything and knows that it was all", () =>
    Effect.gen(function*() {
      const { close, next, probe, say } = yield* abandoned
      const closing = yield* Effect.forkChild(close)
      let acknowledged = 0
      let finished = false
      for (let round = 0; round < 20 && !finished; round++) {
        yield* settle
        expect(closing.pollUnsafe()).toBeUndefined()
        const sent = probe.takeTcp()
        acknowledged += octetsOf(sent)
        finished = sent.some((segment) => (segment.flags & fin) !== 0)
        say({ ack: next + acknowledged + (finished ? 1 : 0) })
      }
      expect(acknowledged).toBe(5000)
      yield* settle
      yield* Fiber.join(closing)
      expect(probe.takeTcp().filter((segment) => (segment.flags & rst) !== 0)).toEqual([])
    }).pipe(Effect.provide(NetworkStack.layer)))

  it.effect("resets a connection whose peer says nothing for a second", () =>
    Effect.gen(function*() {
      const { close, probe } = yield* abandoned
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("900 millis")
      expect(closing.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      expect(probe.takeTcp().at(-1)!.flags & (rst | ack)).not.toBe(0)
      expect(yield* (yield* Tcp).status).toEqual([])
    }).pipe(Effect.provide(NetworkStack.layer)))

  it.effect("waits on as long as the peer takes something", () =>
    Effect.gen(function*() {
      const { close, next, say } = yield* abandoned
      const closing = yield* Effect.forkChild(close)
      for (let taken = 500; taken <= 2500; taken += 500) {
        yield* TestClock.adjust("900 millis")
        say({ ack: next + taken })
      }
      expect(closing.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      expect(yield* (yield* Tcp).status).toEqual([])
    }).pipe(Effect.provide(NetworkStack.layer)))

  it.effect("does not wait for connections that programs still hold", () =>
    Effect.gen(function*() {
      const device = yield* Scope.make()
      const probe = Context.get(yield* Layer.buildWithScope(Probe.layer(), device), Probe)
      const listener = yield* (yield* Tcp).listen({ port: 7 })
      probe.send(tcp({ from: 40_000, to: 7, seq: 1000, flags: syn }))
      const first = probe.takeTcp()[0]!.seq + 1
      probe.send(tcp({ from: 40_000, to: 7, seq: 1001, ack: first }))
      const connection = yield* listener.accept
      yield* connection.write(new Uint8Array(5000))
      yield* Scope.close(device, Exit.void)
      expect(connection.state()).toBe("ESTABLISHED")
    }).pipe(Effect.provide(NetworkStack.layer)))
})
