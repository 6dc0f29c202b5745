/**
 * A bottleneck that marks instead of dropping (RFC 3168).
 */
import { assert, describe, it } from "@effect/vitest"
import { Tcp } from "@strata/core"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

const PORT = 7
const RATE = 20e6
const ROUND_TRIP = 40
const OCTETS = 10_000_000
const CHUNK = new Uint8Array(100_000)

/** A transfer: how fast, what became of its packets, and when its window was lowered. */
const transfer = Effect.fnUntraced(function*(settings: Partial<TcpSettings>) {
  const lowered: Array<{ readonly at: number; readonly cause: "loss" | "echo" }> = []
  const noting: CongestionAlgorithm = {
    ...Reno,
    onCongestion: (state, cause, view) => {
      lowered.push({ at: view.now, cause })
      return Reno.onCongestion(state, cause, view)
    }
  }
  const network = yield* Network
  const sender = yield* network.host("sender")
  const receiver = yield* network.host("receiver")
  const wire = yield* network.wire(sender, receiver, { latency: Distribution.constant(ROUND_TRIP / 2) })
  // 66 packets fit the path, and slow start passes the mark by as much as is on its way when that is met.
  yield* wire.set({ bandwidth: RATE, queue: { packets: 300, octets: Infinity }, marking: 66 })

  const listening = yield* Deferred.make<void>()
  const done = yield* Deferred.make<number>()
  yield* receiver.fork(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: PORT })
    yield* Deferred.succeed(listening, undefined)
    const connection = yield* listener.accept
    let count = 0
    while (count < OCTETS) for (const chunk of yield* connection.read) count += chunk.length
    yield* Deferred.succeed(done, yield* Clock.currentTimeMillis)
  }))
  yield* Deferred.await(listening)
  const begin = yield* Clock.currentTimeMillis
  const block = yield* Deferred.make<ControlBlock>()
  yield* sender.fork(Effect.gen(function*() {
    const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT)
    const live = yield* (yield* Tcp).connect({ remote, congestion: noting, settings })
    for (let left = OCTETS; left > 0; left -= CHUNK.length) yield* live.write(CHUNK.subarray(0, left))
    yield* Deferred.await(done)
    yield* Deferred.succeed(block, live.controlBlock())
  }))
  const seconds = ((yield* Deferred.await(done)) - begin) / 1000
  const { counts } = yield* Deferred.await(block)
  const { forth: { marked, overflowed } } = yield* wire.counters
  return { goodput: OCTETS * 8 / seconds, marked, overflowed, counts, lowered }
})

describe("a bottleneck that marks packets", () => {
  it.effect(
    "costs an ECN-capable sender nothing: no packet is lost, and it is as fast",
    () =>
      Effect.gen(function*() {
        const marked = yield* Simulation.run(transfer({ explicitCongestionNotification: "active" }))
        const dropped = yield* Simulation.run(transfer({ explicitCongestionNotification: "off" }))
        assert.strictEqual(dropped.marked, 0)
        assert.isAbove(dropped.overflowed, 0)
        assert.isAbove(dropped.counts.retransmitted, 0)

        assert.isAbove(marked.marked, 0)
        assert.strictEqual(marked.overflowed, 0)
        assert.strictEqual(marked.counts.retransmitted, 0)
        assert.strictEqual(marked.counts.timeouts, 0)
        assert.isAtLeast(marked.goodput, 0.97 * dropped.goodput)

        // Several echoes come for each reduction, and it is one for each round trip.
        const { lowered } = marked
        assert.isAtLeast(lowered.length, 2)
        assert.isTrue(lowered.every(({ cause }) => cause === "echo"))
        for (const [index, { at }] of lowered.slice(1).entries()) assert.isAtLeast(at - lowered[index]!.at, ROUND_TRIP)
        assert.isBelow(lowered.length, marked.marked)
      }),
    60_000
  )
})
