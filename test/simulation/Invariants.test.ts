import { assert, describe, it } from "@effect/vitest"
import { Tcp, TcpMachine } from "@strata/core"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { InvariantViolated, Network, Simulation } from "@strata/simulation"
import { Effect, Layer } from "effect"
import { patterned, readAll } from "../support/transfer.ts"

type Machine = TcpMachine["Service"]

/** The server echoes to the client what it sends, with a wrong machine on the client. */
const exchange = (wrong: Partial<Machine>, octets = 50_000) =>
  Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client", {
      machine: Layer.succeed(TcpMachine, TcpMachine.of({ ...rfc9293, ...wrong }))
    })
    const server = yield* network.host("server")
    yield* network.wire(client, server, { latency: Distribution.constant(5), loss: Loss.numbers(9, 20) })
    yield* server.fork(Effect.gen(function*() {
      const listener = yield* (yield* Tcp).listen({ port: 7 })
      const connection = yield* listener.accept
      const all = yield* readAll(connection)
      yield* connection.write(all)
      yield* connection.closeWrite
      yield* connection.closed
    }))
    return yield* client.run(Effect.gen(function*() {
      const connection = yield* (yield* Tcp).connect({ remote: toInet(0x0a00_0002, 7) })
      yield* connection.write(patterned(octets, 1))
      yield* connection.closeWrite
      return yield* readAll(connection)
    }))
  })

const violation = (wrong: Partial<Machine>) =>
  Effect.map(Effect.flip(Simulation.run(exchange(wrong))), (error) => {
    assert.instanceOf(error, InvariantViolated)
    return error
  })

describe("Invariants", () => {
  it.effect("hold of a machine that is right", () =>
    Effect.gen(function*() {
      const reply = yield* Simulation.run(exchange({}))
      assert.deepStrictEqual(reply, patterned(50_000, 1))
    }))

  it.effect("name the rule, the host, the connection, the time and the packet", () =>
    Effect.gen(function*() {
      const error = yield* violation({
        arrives: (tcb, segment, now) => {
          const outcome = rfc9293.arrives(tcb, segment, now)
          const { snd } = outcome.tcb
          if (outcome.acknowledged === 0) return outcome
          return { ...outcome, tcb: { ...outcome.tcb, snd: { ...snd, una: (snd.max + 7) >>> 0 } } }
        }
      })
      assert.strictEqual(error.invariant, "unsentAcknowledged")
      assert.strictEqual(error.where, "client")
      assert.match(error.connection ?? "", /^10\.0\.0\.1:\d+ to 10\.0\.0\.2:7$/)
      assert.isAbove(error.time, 10)
      assert.isAbove(error.packet, 5)
      assert.include(error.message, "seed 1: an acknowledgement of 7 octets that were never sent was believed; the control block was FIN-WAIT-1 [SND UNA 1")
    }))
})
