import { assert, describe } from "@effect/vitest"
import type { DeliveryError } from "@strata/core/ip/Ipv4"
import { Udp } from "@strata/core/udp/Udp"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { Effect, Fiber } from "effect"
import { inet, Network, raw } from "../../support/fakeIpv4.ts"
import {
  arrive,
  bind,
  bytes,
  datagram,
  HOST,
  OTHER_ADDRESS,
  PEER,
  portUnreachable,
  reasonOf,
  test,
  texts,
  waitingTake
} from "../../support/udpHost.ts"

/** What ICMP quotes of a datagram from our `port` to port 53: its first eight octets. */
const quoted = (port: number) => datagram(53, bytes(""), { from: HOST, fromPort: port, to: PEER })

const report = (error: Partial<DeliveryError>, port: number) =>
  Effect.map(Network, (network) => network.reportError(Protocol.udp, { ...portUnreachable, ...error }, quoted(port)))

describe("Udp, errors from the network", () => {
  test("a connected socket is told once", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* report({}, port.port)
      const error = yield* Effect.flip(port.take)
      assert.strictEqual(error.message, `nothing listens on udp ${PEER}:53`)
      const fiber = yield* waitingTake(port)
      yield* Effect.yieldNow
      assert.isUndefined(fiber.pollUnsafe())
      yield* arrive(port.port, "still alive", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* Fiber.join(fiber)), ["still alive"])
    }))

  test("a waiting reader is told at once", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      const fiber = yield* waitingTake(port)
      yield* report({ kind: "hostUnreachable" }, port.port)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.message, `${PEER}:53 is unreachable: hostUnreachable`)
    }))

  test("what arrived before the error is read before it", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* arrive(port.port, "before", { fromPort: 53 })
      yield* report({}, port.port)
      assert.deepStrictEqual(texts(yield* port.take), ["before"])
      assert.strictEqual(yield* reasonOf(port.take), "Refused")
    }))

  test("plain code is told at once", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const told: Array<string> = []
      const remote = inet(`${PEER}:53`)
      const port = yield* udp.bindWith({ remote }, () => true, ({ reason }) => told.push(reason._tag))
      yield* report({}, port.port)
      assert.deepStrictEqual(told, ["Refused"])
    }))

  test("an unconnected socket, another peer, another port and a source quench are not told", () =>
    Effect.gen(function*() {
      const connected = yield* bind({ port: 6, remote: inet(`${PEER}:53`) })
      const unconnected = yield* bind({ port: 7 })
      yield* report({}, 7)
      yield* report({}, 8)
      yield* report({ destination: raw("192.0.2.9") }, 6)
      yield* report({ source: raw(OTHER_ADDRESS) }, 6)
      yield* report({ kind: "sourceQuench" }, 6)
      for (const port of [connected, unconnected]) {
        const fiber = yield* waitingTake(port)
        yield* Effect.yieldNow
        assert.isUndefined(fiber.pollUnsafe())
      }
    }))
})
