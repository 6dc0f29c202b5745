/**
 * Contenders that a client of Linux talks to: strata through each of its APIs, and Linux itself.
 */
import * as Effect from "effect/Effect"
import { apis } from "./apis.ts"
import type { Failure } from "./failure.ts"
import type { Told, Work } from "./load.ts"
import type { Contender, Figure } from "./measurement.ts"
import { type Baseline, type Offload, processorOf, type Server, type Testbed } from "./testbed.ts"

/** What a result of the load amounts to. */
export interface Reading {
  readonly value: (told: Told) => number
  /** In how many pieces the server's processor time is told. */
  readonly pieces: (told: Told) => number
}

export const gigabits: Reading = {
  value: ({ octets, seconds }) => octets * 8 / seconds / 1e9,
  pieces: ({ octets }) => octets / 2 ** 20
}
export const thousands: Reading = {
  value: ({ operations, seconds }) => operations / seconds / 1e3,
  pieces: ({ operations }) => operations
}
export const microseconds: Reading = { value: ({ p50 }) => p50, pieces: ({ operations }) => operations }

export interface Case {
  readonly work: Work
  readonly reading: Reading
  readonly sameProcessor?: boolean
}

const measureWith = (
  { reading, sameProcessor = false, work }: Case,
  find: (testbed: Testbed) => Effect.Effect<Server, Failure>
): Contender["measure"] =>
  Effect.fnUntraced(function*(made, seconds) {
    const testbed = yield* made
    const server = yield* find(testbed)
    const before = processorOf(server.pid)
    const told = yield* testbed.load(server, work, { seconds, sameProcessor })
    const processor = processorOf(server.pid) - before
    const figure: Figure = {
      value: reading.value(told),
      processor: processor * 1e6 / Math.max(reading.pieces(told), 1),
      ...told.p50 === 0 ? {} : { p50: told.p50, p99: told.p99 }
    }
    return figure
  })

/** Through each API; a quick run is about the first of them. */
export const strata = (wanted: Case, offload: Offload, suffix = ""): ReadonlyArray<Contender> =>
  apis.map(({ name, title, titleOfUdp }, index) => ({
    title: `${wanted.work.mode === "udp" ? titleOfUdp : title}${suffix}`,
    isAside: index > 0,
    measure: measureWith(wanted, (testbed) => testbed.strata({ api: name, offload }))
  }))

const BASELINES: Readonly<Record<Baseline, string>> = {
  veth: "Linux over veth",
  vethPlain: "Linux over veth, offloads off",
  loopback: "Linux over loopback"
}

export const linux = (wanted: Case, name: Baseline, isBaseline = name !== "loopback"): Contender => ({
  title: BASELINES[name],
  isBaseline,
  isAside: !isBaseline,
  warm: false,
  measure: measureWith(wanted, (testbed) => Effect.succeed(testbed.baselines[name]))
})
