/**
 * The steady path takes nearly everything, and what it makes of it is what the machine makes of it. That is compared for each event of the
 * scripts and channels of this folder (`shadow.ts`); here are whole connections.
 */
import { assert, describe, it } from "@effect/vitest"
import { TcpMachine } from "@strata/core"
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Cubic } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { Distribution, type Faults, Loss } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { connected, pair, readAll, virtually } from "../../support/tcpHosts.ts"
import { patterned } from "../../support/transfer.ts"

/** The same machine, by another name: no connection takes anything in place then. */
const another = Layer.succeed(TcpMachine, { ...rfc9293 })

interface Plan {
  readonly machine: Layer.Layer<TcpMachine>
  readonly options?: ConnectionOptions
  readonly loss?: number
  readonly seed?: number
}

/** A request of `length` octets and its answer, `count` times. */
const exchange = (client: Connection, server: Connection, count: number, length: number) => {
  const request = patterned(length, 3)
  const echo = Effect.flatMap(server.read, (chunks) => Effect.forEach(chunks, server.write, { discard: true }))
  return Effect.gen(function*() {
    const answering = yield* Effect.forkChild(Effect.forever(echo))
    for (let turn = 0; turn < count; turn++) {
      yield* client.write(request)
      for (let received = 0; received < length;) {
        for (const chunk of yield* client.read) received += chunk.length
      }
    }
    yield* Fiber.interrupt(answering)
  })
}

/** Exchanges, then text one way; gives all that was on the wire, and what was counted. */
const conversation = ({ loss = 0, machine, options = {}, seed = 1 }: Plan) =>
  Effect.gen(function*() {
    const wire: Array<unknown> = []
    const seen = (direction: string): Faults.Faults => (_, decoded) => {
      wire.push([direction, decoded()])
      return []
    }
    const latency = loss === 0 ? Distribution.constant(10) : Distribution.normal(10, 2)
    const conditions = { latency, loss: Loss.bernoulli(loss) }
    const left = {
      seed,
      outbound: { ...conditions, faults: seen("out") },
      inbound: { ...conditions, faults: seen("in") }
    }
    const hosts = yield* pair({ seed, left, machine })
    const { client, server } = yield* connected(hosts, { client: options, server: options })
    yield* exchange(client, server, 200, 64)
    const text = patterned(400_000, 7)
    const reading = yield* Effect.forkChild(readAll(server))
    yield* client.write(text)
    yield* client.closeWrite
    assert.isTrue((yield* Fiber.join(reading)).equals(text))
    yield* server.closeWrite
    yield* client.closed
    return { wire, sender: yield* hosts.left.counters, receiver: yield* hosts.right.counters }
  })

const predicted = (counters: Readonly<Record<string, number>>): number =>
  (counters["tcp.predictedText"] ?? 0) + (counters["tcp.predictedAcknowledgements"] ?? 0)

describe("the steady path", () => {
  it(
    "takes nearly all of a connection of which nothing is lost",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* conversation({ machine: TcpMachine.layer })
      for (const counters of [sender, receiver]) {
        assert.isAtLeast(predicted(counters), 0.95 * counters["tcp.received"]!)
        assert.isBelow(predicted(counters), counters["tcp.received"]!)
      }
    }))
  )

  it(
    "is none of a machine that is another one in anything",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* conversation({ machine: another })
      assert.strictEqual(predicted(sender) + predicted(receiver), 0)
    }))
  )

  const variants: ReadonlyArray<readonly [string, ConnectionOptions]> = [
    ["CUBIC", { congestion: Cubic }],
    ["Reno without timestamps", { congestion: Reno, settings: { timestamps: false } }],
    ["Reno without SACK", { congestion: Reno, settings: { selectiveAcknowledgement: false } }],
    ["BBR", { congestion: Bbr }],
    ["a small, fixed receive buffer", { receiveBuffer: 5000 }],
    ["keep-alives", { settings: { keepAlive: true, keepAliveIdle: 1000 } }],
    ["ECN", { settings: { explicitCongestionNotification: "active" } }],
    ["Nagle's algorithm off", { settings: { nagle: false } }]
  ]
  for (const [name, options] of variants) {
    for (const loss of [0, 0.03]) {
      it(`puts the same on the wire as the machine: ${name}, ${100 * loss} % lost`, async () => {
        for (const seed of [1, 2, 3]) {
          const one = await virtually(conversation({ machine: TcpMachine.layer, options, loss, seed }))()
          const other = await virtually(conversation({ machine: another, options, loss, seed }))()
          assert.isAbove(predicted(one.sender), 100)
          assert.deepEqual(one.wire, other.wire)
        }
      })
    }
  }

  it(
    "calls the algorithm that somebody has made of another one",
    virtually(Effect.gen(function*() {
      const acknowledged: Array<number> = []
      const counting: CongestionAlgorithm = {
        ...Cubic,
        onAck: (state, delivery, view) => {
          acknowledged.push(delivery.acknowledged)
          return Cubic.onAck(state, delivery, view)
        }
      }
      const { sender } = yield* conversation({ machine: TcpMachine.layer, options: { congestion: counting } })
      assert.isAbove(sender["tcp.predictedText"]!, 190)
      // 200 requests and answers, the text, and the FIN behind it, at least: the answer to the other one may still be on its way.
      assert.isAtLeast(acknowledged.reduce((sum, octets) => sum + octets, 0), 2 * 200 * 64 + 400_000 + 1)
    }))
  )

  it(
    "leaves alone what somebody keeps of a control block",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      const kept: Array<readonly [unknown, string]> = []
      const keep = () => {
        const tcb = client.controlBlock()
        kept.push([tcb, JSON.stringify(tcb)])
      }
      for (let turn = 0; turn < 20; turn++) {
        yield* exchange(client, server, 1, 100)
        yield* client.write(patterned(5000, 1))
        keep()
        yield* server.read
        keep()
      }
      for (const [tcb, then] of kept) assert.strictEqual(JSON.stringify(tcb), then)
      assert.isAbove(new Set(kept.map(([, then]) => then)).size, 20)
    }))
  )
})
