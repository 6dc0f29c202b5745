import { assert, describe, it } from "@effect/vitest"
import { Turn } from "@strata/core/time/Turn"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { inet, Network, raw } from "../../support/fakeIpv4.ts"
import {
  arrive,
  bind,
  bytes,
  datagram,
  HOST,
  PEER,
  reasonOf,
  stack,
  test,
  texts,
  waitingTake
} from "../../support/udpHost.ts"

describe("Udp, waiting", () => {
  test("a waiting reader is resumed once per turn, with all that arrived in it", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const network = yield* Network
      const port = yield* bind({ port: 7 })
      const fiber = yield* waitingTake(port)
      turn.run(() => {
        for (const message of ["a", "b", "c"]) {
          const options = { source: raw(PEER), destination: raw(HOST) }
          network.receive(Protocol.udp, datagram(7, bytes(message)), options)
          assert.isUndefined(fiber.pollUnsafe())
        }
      })
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(texts(yield* Fiber.join(fiber)), ["a", "b", "c"])
    }))

  test("an answer leaves in the turn of its question", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.take.pipe(
        Effect.flatMap(([{ payload, source }]) => port.send(payload, source)),
        Effect.forkChild({ startImmediately: true })
      )
      yield* arrive(7, "ping")
      assert.strictEqual(sent.length, 1)
    }))

  test("an interrupted reader takes nothing with it", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const first = yield* waitingTake(port)
      const second = yield* waitingTake(port)
      yield* Fiber.interrupt(first)
      yield* arrive(7, "kept")
      assert.deepStrictEqual(texts(yield* Fiber.join(second)), ["kept"])
    }))

  test("of two readers the first one gets the first batch", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const first = yield* waitingTake(port)
      const second = yield* waitingTake(port)
      yield* arrive(7, "a")
      assert.isUndefined(second.pollUnsafe())
      yield* arrive(7, "b")
      assert.deepStrictEqual(texts(yield* Fiber.join(first)), ["a"])
      assert.deepStrictEqual(texts(yield* Fiber.join(second)), ["b"])
    }))

  test("closing ends every reader and refuses what comes later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const port = yield* Scope.provide(bind({ port: 7 }), scope)
      const fibers = [yield* waitingTake(port), yield* waitingTake(port)]
      yield* Scope.close(scope, Exit.void)
      for (const fiber of fibers) assert.strictEqual(yield* reasonOf(Fiber.join(fiber)), "SocketClosed")
      assert.strictEqual(yield* reasonOf(port.take), "SocketClosed")
      assert.strictEqual(yield* reasonOf(port.send(bytes("late"), inet(`${PEER}:7`))), "SocketClosed")
      assert.strictEqual(port.sendUnsafe(bytes("late"), raw(PEER), 7)?._tag, "SocketClosed")
    }))

  it.effect("the end of the layer ends the sockets of other scopes and releases the protocol", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(stack, scope)
      const provided = Effect.provide(context)
      const network = yield* provided(Network)
      const port = yield* provided(bind({ port: 7 }))
      const fiber = yield* waitingTake(port)
      assert.isTrue(network.handles(Protocol.udp))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(network.handles(Protocol.udp))
      assert.strictEqual(yield* reasonOf(Fiber.join(fiber)), "SocketClosed")
    }))
})
