/**
 * Large segments in simulations: whole where nothing is done to single packets, cut where something is, and the same octets in any case.
 */
import { assert, describe, it } from "@effect/vitest"
import { Statistics, Tcp } from "@strata/core"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { type Conditions, Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import { Deferred, Effect, Fiber, Schema } from "effect"

const PORT = 7

/** The n-th octet of every stream. */
const patterned = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (from + index) * 31 % 251)

interface Run {
  readonly offload: boolean
  readonly writes: ReadonlyArray<number>
  readonly conditions?: Partial<Conditions>
  readonly copyWrites?: boolean
  /** Milliseconds that the reader rests after each read. */
  readonly pause?: number
  readonly seed?: number
}

/** Writes, reads, and tells what arrived and what both hosts counted. */
const transfer = ({ conditions = {}, copyWrites, offload, pause = 0, seed = 1, writes }: Run) =>
  Simulation.run(
    Effect.gen(function*() {
      const network = yield* Network
      const sender = yield* network.host("sender")
      const receiver = yield* network.host("receiver")
      const wire = yield* network.wire(sender, receiver, { latency: Distribution.constant(5), ...conditions })
      const listening = yield* Deferred.make<void>()
      const reading = yield* Effect.forkChild(receiver.run(Effect.gen(function*() {
        const listener = yield* (yield* Tcp).listen({ port: PORT })
        yield* Deferred.succeed(listening, undefined)
        const connection = yield* listener.accept
        const chunks: Array<Uint8Array> = []
        yield* Effect.forever(Effect.gen(function*() {
          chunks.push(...yield* connection.read)
          yield* Effect.sleep(pause)
        })).pipe(Effect.catchTag("Done", () => Effect.void))
        yield* connection.closeWrite
        return { bytes: Buffer.concat(chunks), counters: yield* (yield* Statistics).snapshot }
      })))
      yield* Deferred.await(listening)
      const sent = yield* sender.run(Effect.gen(function*() {
        const remote = toInet(fromIpv4(receiver.addresses()[0]!), PORT)
        const connection = yield* (yield* Tcp).connect({ remote, copyWrites })
        let at = 0
        for (const length of writes) {
          const chunk = patterned(at, length)
          yield* connection.write(chunk)
          if (copyWrites === true) chunk.fill(255)
          at += length
        }
        yield* connection.closeWrite
        yield* connection.closed
        return yield* (yield* Statistics).snapshot
      }))
      const read = yield* Fiber.join(reading)
      return { ...read, sent, wire: (yield* wire.counters).forth }
    }).pipe(Effect.scoped, Effect.orDie),
    { offload, seed }
  )

const total = (writes: ReadonlyArray<number>): number => writes.reduce((sum, length) => sum + length, 0)

const same = (bytes: Uint8Array, writes: ReadonlyArray<number>): void => {
  assert.strictEqual(bytes.length, total(writes))
  assert.isTrue(Buffer.from(patterned(0, total(writes))).equals(bytes))
}

const length = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))
const share = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))

describe("links with offload", () => {
  it.effect("pass large segments on whole where they only travel", () =>
    Effect.gen(function*() {
      const writes = Array.from({ length: 30 }, () => 60_000)
      const { bytes, counters, sent, wire } = yield* transfer({ offload: true, writes })
      same(bytes, writes)
      assert.strictEqual(wire.cut, 0)
      // Segments are counted as they would be on a wire, and packets as they are.
      const segments = total(writes) / 1448
      assert.isAtLeast(sent["tcp.textSent"]!, segments)
      assert.isAtMost(sent["tcp.textSent"]!, segments + 100)
      assert.strictEqual(counters["tcp.received"], sent["tcp.sent"])
      assert.isAbove(counters["tcp.coalesced"]!, segments / 2)
      assert.isBelow(wire.delivered, segments / 2)
    }))

  it.effect("cut them where something is done to single packets", () =>
    Effect.gen(function*() {
      const writes = Array.from({ length: 10 }, () => 60_000)
      const conditions = { bandwidth: 100e6, queue: { packets: 1000, octets: Infinity } }
      const { bytes, counters, sent, wire } = yield* transfer({ offload: true, writes, conditions })
      same(bytes, writes)
      assert.isAbove(wire.cut, 0)
      assert.strictEqual(counters["tcp.coalesced"] ?? 0, 0)
      assert.strictEqual(wire.delivered, wire.offered + wire.cut)
      assert.isAtLeast(sent["tcp.textSent"]!, total(writes) / 1448)
    }))

  it.effect("are off where nothing is said, and then each packet is that of a wire", () =>
    Effect.gen(function*() {
      const { counters, wire } = yield* transfer({ offload: false, writes: [60_000, 60_000] })
      assert.strictEqual(counters["tcp.coalesced"] ?? 0, 0)
      assert.strictEqual(wire.cut, 0)
    }))

  it.effect("carry what was written before its writer used the memory again, where writes are copied", () =>
    Effect.gen(function*() {
      const writes = Array.from({ length: 20 }, () => 50_000)
      const conditions = { loss: Loss.bernoulli(0.02) }
      for (const offload of [false, true]) {
        same((yield* transfer({ offload, writes, conditions, copyWrites: true })).bytes, writes)
      }
    }))

  it.effect.prop("deliver the octets that links without it deliver, whatever is written, read and lost", [
    Schema.Array(length).check(Schema.isMaxLength(12)),
    share,
    share,
    share
  ], ([writes, lost, doubled, pause]) =>
    Effect.gen(function*() {
      const conditions = {
        loss: Loss.bernoulli(lost / 100),
        duplication: doubled / 100,
        reordering: { probability: doubled / 100, packets: 3 }
      }
      for (const offload of [false, true]) {
        for (const bad of [conditions, {}]) {
          same((yield* transfer({ offload, writes, conditions: bad, pause, seed: 1 + lost })).bytes, writes)
        }
      }
    }), { arbitrary: { runs: 15 } })
})
