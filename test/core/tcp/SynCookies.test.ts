import { assert, describe, it } from "@effect/vitest"
import { Entropy } from "@strata/core"
import type { Endpoints } from "@strata/core/tcp/ControlBlock"
import * as Sequence from "@strata/core/tcp/Sequence"
import { PERIOD, stamp, stamped, SynCookies } from "@strata/core/tcp/SynCookies"
import { Effect, Schema } from "effect"

const endpoints: Endpoints = { localAddress: 0x0a000001, localPort: 80, remoteAddress: 0x0a000002, remotePort: 50_000 }
const make = Effect.map(Entropy, (entropy) => ({ entropy, cookies: new SynCookies(entropy) })).pipe(
  Effect.provide(Entropy.layerSeeded(1))
)

describe("SYN cookies (RFC 4987 §3.6)", () => {
  it.effect("bring back the largest known MSS that the peer's allows", () =>
    Effect.gen(function*() {
      const { cookies } = yield* make
      const kept = (mss: number) => cookies.check(endpoints, 77, cookies.issue(endpoints, 77, mss, 5), 6)
      assert.deepStrictEqual([9000, 1460, 1459, 1400, 1380, 1220, 536, 535, 0].map(kept), [
        8960,
        1460,
        1440,
        1400,
        1300,
        1220,
        536,
        48,
        48
      ])
    }))

  it.effect("are those of one pair of endpoints and of one SYN", () =>
    Effect.gen(function*() {
      const { cookies } = yield* make
      const cookie = cookies.issue(endpoints, 77, 1460, 0)
      assert.strictEqual(cookies.check(endpoints, 77, cookie, 0), 1460)
      for (const part of ["localAddress", "localPort", "remoteAddress", "remotePort"] as const) {
        assert.isUndefined(cookies.check({ ...endpoints, [part]: endpoints[part] + 1 }, 77, cookie, 0))
      }
      assert.isUndefined(cookies.check(endpoints, 78, cookie, 0))
      for (let bit = 0; bit < 32; bit++) {
        assert.isUndefined(cookies.check(endpoints, 77, (cookie ^ (1 << bit)) >>> 0, 0))
      }
      assert.isUndefined(new SynCookies((yield* make).entropy).check(endpoints, 77, cookie, 0))
    }))

  it.effect("are believed in their period and in the next one, whatever was given out since", () =>
    Effect.gen(function*() {
      const { cookies } = yield* make
      for (const start of [0, 31 * PERIOD, 5_000_000_000]) {
        const early = cookies.issue(endpoints, 77, 1460, start)
        const late = cookies.issue(endpoints, 77, 1460, start + PERIOD - 1)
        assert.strictEqual(early, late)
        cookies.issue(endpoints, 99, 1460, start + PERIOD)
        assert.strictEqual(cookies.check(endpoints, 77, early, start + 2 * PERIOD - 1), 1460)
        assert.isUndefined(cookies.check(endpoints, 77, early, start + 2 * PERIOD))
        // The count of periods comes round after 32 of them; secrets do not.
        assert.isUndefined(cookies.check(endpoints, 77, early, start + 32 * PERIOD))
      }
    }))

  it.effect("are awaited as long as one may come back", () =>
    Effect.gen(function*() {
      const { cookies } = yield* make
      assert.isFalse(cookies.isAwaiting(0))
      cookies.issue(endpoints, 77, 1460, 1000)
      assert.isTrue(cookies.isAwaiting(1000 + 2 * PERIOD - 1))
      assert.isFalse(cookies.isAwaiting(1000 + 2 * PERIOD))
    }))

  it.effect("ascend from period to period", () =>
    Effect.gen(function*() {
      const { cookies } = yield* make
      for (let period = 0; period < 15; period++) {
        const before = cookies.issue(endpoints, 77, 1460, period * PERIOD)
        const after = cookies.issue(endpoints, 77, 1460, (period + 1) * PERIOD)
        assert.isTrue(Sequence.greaterThan(after, before))
      }
    }))

  it.effect("are not guessed", () =>
    Effect.gen(function*() {
      const { cookies, entropy } = yield* make
      cookies.issue(endpoints, 77, 1460, 0)
      for (let guess = 0; guess < 100_000; guess++) {
        assert.isUndefined(cookies.check(endpoints, 77, entropy.u32(), 0))
      }
    }))

  it.effect.prop("keep the rest in the timestamp, which is little older for that", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff })),
    Schema.UndefinedOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 14 }))),
    Schema.Boolean,
    Schema.Boolean
  ], ([now, windowScale, sack, ecn]) =>
    Effect.sync(() => {
      const value = stamp(now, { windowScale, sack, ecn })
      assert.deepStrictEqual(stamped(value), { windowScale, sack, ecn })
      assert.isAtLeast(Sequence.difference(value, now), 0)
      assert.isBelow(Sequence.difference(value, now), 64)
    }))
})
