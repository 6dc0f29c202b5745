import { describe, expect, it } from "@effect/vitest"
import { Chronograph } from "@strata/core/tcp/Chronograph"
import { infoChanges } from "@strata/core/tcp/InfoChanges"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { established } from "../../support/tcpScript.ts"

describe("changes", () => {
  it.effect("leave nothing behind with their reader", () =>
    Effect.gen(function*() {
      const connection = {
        tcb: established().tcb,
        traffic: {},
        chronograph: new Chronograph(),
        sending: { queued: 0, capacity: 0 },
        onlookers: new Array<() => void>(),
        host: {
          turn: { now: () => 0, run: (work: () => void) => work() },
          timers: { make: () => ({ set: () => {}, clear: () => {} }) },
          mtuFor: () => 1500
        }
      }
      const changes = infoChanges(connection as unknown as Parameters<typeof infoChanges>[0])
      const during = Stream.tap(changes, () => Effect.sync(() => expect(connection.onlookers.length).toBe(1)))
      expect(yield* Stream.runCollect(Stream.take(during, 1))).toMatchObject([{ state: "ESTABLISHED" }])
      expect(connection.onlookers).toEqual([])
    }))
})
