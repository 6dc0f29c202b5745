import { assert, describe } from "@effect/vitest"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { Effect, Exit, Scope } from "effect"
import { inet, ip, Network, raw } from "../../support/fakeIpv4.ts"
import {
  arrive,
  bind,
  bytes,
  DIRECTED_BROADCAST,
  GROUP,
  HOST,
  OTHER_ADDRESS,
  PEER,
  reasonOf,
  test,
  texts
} from "../../support/udpHost.ts"

describe("Udp, binding", () => {
  test("gives distinct ephemeral ports, not one after another", () =>
    Effect.gen(function*() {
      const ports = yield* Effect.replicateEffect(Effect.map(bind(), ({ port }) => port), 200)
      assert.strictEqual(new Set(ports).size, 200)
      assert.isTrue(ports.every((port) => port >= 49152 && port <= 65535))
      const steps = ports.slice(1).filter((port, index) => port === ports[index]! + 1)
      assert.isBelow(steps.length, 20)
    }))

  test("says when no ephemeral port is left, and has one again when one is released", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Effect.replicateEffect(bind(), 16383)
      const last = yield* Scope.provide(bind(), scope)
      assert.strictEqual(yield* reasonOf(bind()), "PortsExhausted")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* bind()).port, last.port)
    }))

  test("an address and a port have one owner; all addresses conflict with each", () =>
    Effect.gen(function*() {
      yield* bind({ port: 7, address: ip(HOST) })
      yield* bind({ port: 7, address: ip(OTHER_ADDRESS) })
      assert.strictEqual(yield* reasonOf(bind({ port: 7, address: ip(HOST) })), "AddressInUse")
      assert.strictEqual(yield* reasonOf(bind({ port: 7 })), "AddressInUse")
      yield* bind({ port: 9 })
      const error = yield* Effect.flip(bind({ port: 9, address: ip(HOST) }))
      assert.strictEqual(error.message, `udp ${HOST}:9 is already in use; choose another port`)
    }))

  test("sockets that all share do not conflict", () =>
    Effect.gen(function*() {
      yield* bind({ port: 7, shared: true })
      yield* bind({ port: 7, shared: true, address: ip(HOST) })
      assert.strictEqual(yield* reasonOf(bind({ port: 7 })), "AddressInUse")
    }))

  test("refuses an address that the host does not have", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(bind({ address: ip(PEER) })), "AddressNotAvailable")
    }))

  test("refuses a number that is no port", () =>
    Effect.gen(function*() {
      for (const port of [65536, -1, 1.5, NaN]) assert.strictEqual(yield* reasonOf(bind({ port })), "InvalidAddress")
    }))

  test("a port is free again when its scope closes", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(bind({ port: 7 }))
      yield* bind({ port: 7 })
    }))

  test("tells about ports taken and released", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const told: Array<TraceDetail> = []
      trace.listen(({ detail }) => told.push(detail))
      yield* Effect.scoped(bind({ port: 7, address: ip(HOST) }))
      const port = { protocol: "udp", address: raw(HOST), port: 7 }
      assert.deepStrictEqual(told as Array<unknown>, [{ _tag: "PortBound", ...port }, {
        _tag: "PortReleased",
        ...port
      }])
    }))
})

describe("Udp, a port that changes", () => {
  const none = undefined

  test("takes a peer and lets go of it: its address, whom it hears, and the address it had", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      assert.strictEqual(port.localAddress(), 0)
      assert.strictEqual(port.connectUnsafe(raw(PEER), 53), none)
      assert.strictEqual(port.localAddress(), raw(HOST))
      yield* arrive(7, "from a stranger")
      yield* arrive(7, "from the peer", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* port.take), ["from the peer"])
      assert.strictEqual(port.connectUnsafe(0, 0), none)
      assert.strictEqual(port.localAddress(), 0)
      yield* arrive(7, "from a stranger")
      assert.deepStrictEqual(texts(yield* port.take), ["from a stranger"])
    }))

  test("keeps its peer when it cannot have another", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, remote: inet(`${PEER}:53`) })
      assert.strictEqual(port.connectUnsafe(raw(DIRECTED_BROADCAST), 53)?._tag, "BroadcastNotPermitted")
      yield* arrive(7, "from the peer", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* port.take), ["from the peer"])
    }))

  test("sends differently from the next datagram on; what is not named stays", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const port = yield* bind({ port: 7 })
      const send = () => port.sendUnsafe(bytes("x"), raw(GROUP), 7)
      assert.strictEqual(port.configureUnsafe({ multicast: { timeToLive: 5, loopback: false } }), none)
      assert.strictEqual(port.configureUnsafe({ timeToLive: 9 }), none)
      assert.strictEqual(send(), none)
      const { looped, timeToLive } = network.sent.at(-1)!
      assert.deepStrictEqual([looped, timeToLive], [false, 5])
      assert.strictEqual(port.configureUnsafe({ timeToLive: 256 })?._tag, "InvalidAddress")
      const elsewhere = port.configureUnsafe({ multicast: { interface: ip(PEER) } })
      assert.strictEqual(elsewhere?._tag, "AddressNotAvailable")
      assert.strictEqual(port.sendUnsafe(bytes("x"), raw(DIRECTED_BROADCAST), 7)?._tag, "BroadcastNotPermitted")
      port.configureUnsafe({ broadcast: true })
      assert.strictEqual(port.sendUnsafe(bytes("x"), raw(DIRECTED_BROADCAST), 7), none)
    }))
})
