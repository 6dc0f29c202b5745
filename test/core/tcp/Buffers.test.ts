import { describe, expect, it } from "@effect/vitest"
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import { Distribution } from "@strata/drivers"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connected, pair, type PairOptions, readAll, virtually } from "../../support/tcpHosts.ts"

const KB = 1000
const MB = 1_000_000

/** A path of 50 ms, and what one host sends to the other on it. */
const path: PairOptions = {
  left: { outbound: { latency: Distribution.constant(25), bandwidth: 100e6 } },
  right: { outbound: { latency: Distribution.constant(25) } }
}

const transfer = Effect.fnUntraced(
  function*(
    octets: number,
    options: { readonly client?: ConnectionOptions; readonly server?: ConnectionOptions } = {}
  ) {
    const { client, server } = yield* connected(yield* pair(path), options)
    const begin = yield* Clock.currentTimeMillis
    const writing = yield* Effect.forkChild(writes(client, octets))
    const received = yield* readAll(server)
    yield* Fiber.join(writing)
    expect(received.length).toBe(octets)
    return { client, server, seconds: ((yield* Clock.currentTimeMillis) - begin) / 1000 }
  }
)

const CHUNK = new Uint8Array(16_384).fill(7)
const writes = Effect.fnUntraced(function*(connection: Connection, octets: number) {
  for (let left = octets; left > 0; left -= CHUNK.length) yield* connection.write(CHUNK.subarray(0, left))
  yield* connection.closeWrite
})

/** Octets that were written and have not left. */
const unsent = (connection: Connection): number => {
  const { nxt, una } = connection.controlBlock().snd
  return connection.status().sendQueue - ((nxt - una) | 0)
}

describe("buffers of a connection", () => {
  it(
    "grow until the path is full: 625 KB are under way at 100 Mbit/s and 50 ms",
    virtually(Effect.gen(function*() {
      const { client, seconds, server } = yield* transfer(10 * MB)
      expect(server.controlBlock().rcv.capacity).toBeGreaterThan(1 * MB)
      expect(client.controlBlock().snd.maxWnd).toBeGreaterThan(1 * MB)
      // 10 MB take 0.85 s, and 3.8 s with a window of 131,072 octets; between are slow start and the losses that end it.
      expect(seconds).toBeLessThan(2)
    }))
  )

  it.each([
    { what: "the receiver's", options: { server: { receiveBuffer: 65_536 } } },
    { what: "the sender's", options: { client: { sendBuffer: 65_536 } } }
  ])(
    "stay as they are when a number is given, $what for example: 65,536 octets in each round trip",
    ({ options }) =>
      virtually(Effect.gen(function*() {
        const { seconds } = yield* transfer(4 * MB, options)
        expect(seconds).toBeGreaterThan(4 * MB / 65_536 * 0.05 * 0.9)
      }))()
  )

  it(
    "do not grow while the program does not read: what is sent before it does is bounded",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(path))
      const writing = yield* Effect.forkChild(writes(client, 20 * MB))
      yield* Effect.sleep("10 minutes")
      expect(writing.pollUnsafe()).toBeUndefined()
      expect(server.status().receiveQueue).toBeLessThan(133 * KB)
      expect(server.controlBlock().rcv.capacity).toBe(131_072)
      yield* Fiber.interrupt(writing)
    }))
  )

  it(
    "that are full of what nobody reads hold up the writer at the bounds it asked for",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* pair(path), {
        client: { sendBuffer: { initial: 10 * KB, maximum: 100 * KB }, settings: { notSentLowWater: Infinity } },
        server: { receiveBuffer: { initial: 300 * KB, maximum: 300 * KB } }
      })
      const writing = yield* Effect.forkChild(writes(client, 20 * MB))
      yield* Effect.sleep("10 minutes")
      expect(writing.pollUnsafe()).toBeUndefined()
      expect(client.status().sendQueue).toBeGreaterThan(75 * KB)
      expect(client.status().sendQueue).toBeLessThanOrEqual(100 * KB)
      yield* Fiber.interrupt(writing)
    }))
  )
})

describe("what was not sent", () => {
  /** A transfer that is under way, and the most that waited in its buffer. */
  const watched = Effect.fnUntraced(function*(notSentLowWater: number | undefined) {
    const { client, server } = yield* connected(yield* pair(path), {
      client: notSentLowWater === undefined ? {} : { settings: { notSentLowWater } }
    })
    const begin = yield* Clock.currentTimeMillis
    yield* Effect.forkChild(writes(client, 10 * MB))
    let most = 0
    yield* Effect.forkChild(Effect.forever(Effect.andThen(
      Effect.sync(() => {
        most = Math.max(most, unsent(client))
      }),
      Effect.sleep(1)
    )))
    expect((yield* readAll(server)).length).toBe(10 * MB)
    return { most, seconds: ((yield* Clock.currentTimeMillis) - begin) / 1000 }
  })

  it(
    "is bounded, at no cost: a bound of 16 KiB is as fast as none",
    virtually(Effect.gen(function*() {
      const bounded = yield* watched(16_384)
      expect(bounded.most).toBeLessThanOrEqual(16_384)
      const byDefault = yield* watched(undefined)
      expect(byDefault.most).toBeLessThanOrEqual(262_144)
      expect(byDefault.most).toBeGreaterThan(131_072)
      const unbounded = yield* watched(Infinity)
      expect(unbounded.most).toBeGreaterThan(300 * KB)
      expect(Math.abs(bounded.seconds - unbounded.seconds)).toBeLessThan(0.05)
      expect(Math.abs(byDefault.seconds - unbounded.seconds)).toBeLessThan(0.05)
    }))
  )

  it(
    "is never less than a segment",
    virtually(Effect.gen(function*() {
      const { most } = yield* watched(0)
      expect(most).toBeGreaterThan(1000)
      expect(most).toBeLessThanOrEqual(1448)
    }))
  )
})
