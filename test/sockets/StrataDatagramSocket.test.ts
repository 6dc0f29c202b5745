/**
 * What the contract does not say of `StrataDatagramSocket`: errors that only a network one can shape brings about.
 */
import { assert, describe, it } from "@effect/vitest"
import type { DeliveryError } from "@strata/core"
import { Udp } from "@strata/core"
import { UdpError, Unreachable } from "@strata/core/udp/UdpError"
import { type Host, Network, Simulation } from "@strata/simulation"
import { StrataDatagramSocket } from "@strata/sockets"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type { DatagramSocketError, DatagramSocketErrorReason } from "effect/socket/DatagramSocket"
import * as Fake from "../support/fakeIpv4.ts"
import { HOST, PEER } from "../support/udpDatagram.ts"

type Program = (hosts: { readonly client: Host; readonly server: Host }) => Effect.Effect<void, unknown, Scope.Scope>

const simulated = (program: Program) => () =>
  Simulation.run(Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client")
    const server = yield* network.host("server")
    yield* network.wire(client, server)
    yield* program({ client, server })
  }))

const reader = (options: StrataDatagramSocket.Options) =>
  Effect.flatMap(StrataDatagramSocket.make(options), (socket) => socket.reader)

const words = (reason: DatagramSocketErrorReason) => "kind" in reason ? `${reason._tag} ${reason.kind}` : reason._tag

const failure = (options: StrataDatagramSocket.Options) =>
  Effect.map(Effect.flip(Effect.scoped(reader(options))), ({ reason }) => words(reason))

/** UDP whose ports fail once, as if ICMP had reported that. */
const reporting = (kind: DeliveryError["kind"]) =>
  Effect.updateService(Udp, (udp) => ({
    ...udp,
    bind: (options) =>
      Effect.map(udp.bind(options), (port) => {
        let told = false
        const report = Effect.suspend(() => {
          told = true
          return Effect.fail(new UdpError({ reason: new Unreachable({ destination: "192.0.2.1:7", kind }) }))
        })
        return { ...port, take: Effect.suspend(() => told ? port.take : report) }
      })
  }))

describe("StrataDatagramSocket", () => {
  it.effect(
    "says why it does not open",
    simulated(({ client }) =>
      client.run(Effect.gen(function*() {
        const port = 9
        assert.strictEqual(yield* failure({ family: "ipv6" }), "DatagramSocketUnsupportedError")
        assert.strictEqual(
          yield* failure({ connect: { address: "nobody", port } }),
          "DatagramSocketOpenError AddressNotAvailable"
        )
        assert.strictEqual(
          yield* failure({ bind: { address: "::1" } }),
          "DatagramSocketOpenError AddressNotAvailable"
        )
        assert.strictEqual(
          yield* failure({ connect: { address: "10.0.0.255", port } }),
          "DatagramSocketOpenError PermissionDenied"
        )
        yield* Effect.scoped(reader({ connect: { address: "10.0.0.255", port }, broadcast: true }))
        for (
          const options of [
            { connect: { address: "198.51.100.1", port } },
            { connect: { address: "server", port: 70_000 } },
            { bind: { port: 70_000 } },
            { ttl: 300 }
          ]
        ) {
          assert.strictEqual(yield* failure(options), "DatagramSocketOpenError Unknown")
        }
      }))
    )
  )

  it.effect(
    "finds its peer by name",
    simulated(({ client, server }) =>
      Effect.gen(function*() {
        const taken = yield* server.fork(Effect.flatMap(reader({ bind: { port: 9 } }), ({ pull }) => pull))
        yield* client.run(Effect.gen(function*() {
          const socket = yield* StrataDatagramSocket.make({ peer: { address: "server", port: 9 } })
          yield* socket.reader
          yield* (yield* socket.writer).write({ payload: "found" })
        }))
        assert.strictEqual(new TextDecoder().decode((yield* Fiber.join(taken))[0].payload), "found")
      })
    )
  )

  it.effect(
    "knows no destination of IPv6",
    simulated(({ client }) =>
      client.run(Effect.gen(function*() {
        const socket = yield* StrataDatagramSocket.make()
        const { joinMulticast } = yield* socket.reader
        const { write } = yield* socket.writer
        const address = NetAddress.inetAddressUnsafe(NetAddress.ipv6Loopback, 9)
        assert.strictEqual(
          words((yield* Effect.flip(write({ payload: "", address }))).reason),
          "DatagramSocketUnsupportedError"
        )
        const group = NetAddress.ipFromStringUnsafe("ff02::1") as NetAddress.MulticastAddress<NetAddress.Ipv6Address>
        assert.strictEqual(
          words((yield* Effect.flip(joinMulticast({ group }))).reason),
          "DatagramSocketUnsupportedError"
        )
      }))
    )
  )

  it.effect(
    "has Linux's words for what ICMP reports",
    simulated(({ client }) =>
      Effect.gen(function*() {
        const heard = Effect.gen(function*() {
          const error = yield* Deferred.make<DatagramSocketError>()
          yield* reader({ onError: (found) => Deferred.doneUnsafe(error, Effect.succeed(found)) })
          return words((yield* Deferred.await(error)).reason)
        })
        const expected: ReadonlyArray<readonly [DeliveryError["kind"], string]> = [
          ["netUnreachable", "Unreachable"],
          ["hostUnreachable", "Unreachable"],
          ["prohibited", "Unreachable"],
          ["timeExceeded", "Unreachable"],
          ["fragmentationNeeded", "MessageTooLarge"],
          ["protocolUnreachable", "Unknown"],
          ["parameterProblem", "Unknown"]
        ]
        for (const [kind, word] of expected) {
          const told = yield* client.run(reporting(kind)(heard))
          assert.strictEqual(told, `DatagramSocketReadError ${word}`, kind)
        }
      })
    )
  )

  it.effect(
    "hears of a host that is not there",
    simulated(({ client }) =>
      client.run(Effect.gen(function*() {
        const error = yield* Deferred.make<DatagramSocketError>()
        const socket = yield* StrataDatagramSocket.make({
          connect: { address: "10.0.0.77", port: 9 },
          onError: (found) => Deferred.doneUnsafe(error, Effect.succeed(found))
        })
        yield* socket.reader
        yield* (yield* socket.writer).write({ payload: "hello" })
        assert.strictEqual(words((yield* Deferred.await(error)).reason), "DatagramSocketReadError Unreachable")
      }))
    )
  )

  it.effect(
    "is closed with the stack below",
    simulated(({ server }) =>
      Effect.gen(function*() {
        const socket = yield* server.run(StrataDatagramSocket.make())
        const { pull } = yield* socket.reader
        const { write } = yield* socket.writer
        const waiting = yield* Effect.forkScoped(Effect.flip(pull))
        yield* Effect.yieldNow
        yield* server.stop
        assert.strictEqual(words((yield* Fiber.join(waiting)).reason), "DatagramSocketClosedError")
        const address = NetAddress.inetAddressFromIpStringUnsafe("10.0.0.1", 9)
        assert.strictEqual(
          words((yield* Effect.flip(write({ payload: "", address }))).reason),
          "DatagramSocketClosedError"
        )
      })
    )
  )

  it.effect("hands all that is written at once to the wire together, up to what cannot be sent", () =>
    Effect.gen(function*() {
      const { flushed } = yield* Fake.Network
      const socket = yield* StrataDatagramSocket.make({ peer: { address: PEER, port: 9 } })
      yield* socket.reader
      const { writeAll } = yield* socket.writer
      yield* writeAll([{ payload: "a" }, { payload: "b" }, { payload: "c" }])
      assert.deepStrictEqual(flushed.splice(0), [3])
      const tooLarge = new Uint8Array(65_508)
      const failed = yield* Effect.flip(writeAll([{ payload: "a" }, { payload: tooLarge }, { payload: "b" }]))
      assert.strictEqual(words(failed.reason), "DatagramSocketWriteError MessageTooLarge")
      assert.deepStrictEqual(flushed, [1])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Layer.fresh(Udp.layer), Fake.layer([HOST])))))
})
