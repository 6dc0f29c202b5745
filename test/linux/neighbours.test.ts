/**
 * Neighbours between the stack and the kernel, when they do not simply answer.
 *
 * Times are shortened, so that what takes minutes in an office takes a second.
 */
import { expect, layer } from "@effect/vitest"
import { ArpCache, Icmp, Statistics, Trace } from "@strata/core"
import { NeighbourSettings } from "@strata/core/link/ArpCache"
import { defaults } from "@strata/core/link/NeighbourTable"
import { formatEvent } from "@strata/core/log/Log"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { describeOffloads, hostWith, KERNEL, Kernel, MAC, ON_AND_OFF, STACK } from "../support/linux.ts"
import { ipv4 } from "../support/Probe.ts"

const OTHER_MAC = "02:00:00:00:00:77"

const Hasty = Layer.succeed(NeighbourSettings, {
  ...defaults,
  reachableTime: 100,
  delayBeforeProbe: 100,
  retransmitTime: 200
})

const known = Effect.gen(function*() {
  const entries = yield* (yield* ArpCache).entries
  const entry = entries.find(({ address }) => String(address) === KERNEL)
  return { hardware: String(entry?.hardwareAddress), state: entry?.state }
})

/** Asks again and again until it holds; after some seconds the test fails with what it was. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  effect.pipe(
    Effect.filterOrFail(holds, (value) => new Error(`it was ${JSON.stringify(value)}`)),
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 200 })))
  )

/** As the trace shows it: a request for the stack's own address, from it. */
const ANNOUNCEMENT = /arp\.request[^]*spa: 192\.0\.2\.2\n[^]*tpa: 192\.0\.2\.2$/

describeOffloads("Linux, neighbours", ["arping"], (offload) => {
  layer(hostWith(offload).pipe(Layer.provide(Hasty)), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel learns from an announcement where the stack is now", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const entry = Effect.map(kernel.succeed("ip", "neighbour", "show", STACK), ({ stdout }) => stdout)
        yield* kernel.succeed("sh", "-c", `ip neighbour replace ${STACK} lladdr ${OTHER_MAC} dev tap0 nud stale`)
        expect(yield* entry).toContain(OTHER_MAC)
        yield* (yield* ArpCache).announce("tap0", ipv4(STACK))
        yield* eventually(entry, (text) => text.includes(MAC))
      }))

    it.effect("who probes for the stack's address is told that it is in use", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode, stdout } = yield* kernel.exec("arping", "-D", "-c", "2", "-w", "5", "-I", "tap0", STACK)
        expect(stdout.toLowerCase()).toContain(MAC)
        expect(exitCode).toBe(1)
      }))

    it.effect("a neighbour in use is confirmed again and again", () =>
      Effect.gen(function*() {
        const icmp = yield* Icmp
        yield* icmp.ping(ipv4(KERNEL), { timeout: "5 seconds" })
        yield* eventually(known, ({ state }) => state === "stale")
        yield* icmp.ping(ipv4(KERNEL), { timeout: "5 seconds" })
        yield* eventually(known, ({ state }) => state === "reachable")
      }))

    it.effect("the kernel changes its hardware address in silence, and is found again", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const icmp = yield* Icmp
        yield* icmp.ping(ipv4(KERNEL), { timeout: "5 seconds" })
        yield* kernel.succeed("ip", "link", "set", "tap0", "address", OTHER_MAC)
        yield* eventually(
          Effect.result(icmp.ping(ipv4(KERNEL), { timeout: "100 millis" })),
          (result) => result._tag === "Success"
        )
        expect((yield* known).hardware).toBe(OTHER_MAC)
      }))

    it.effect("a conflict is counted, and the address defended", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { snapshot } = yield* Statistics
        const trace = yield* Trace
        const log: Array<string> = []
        const stop = trace.listen((event) => log.push(formatEvent(event)))
        yield* kernel.succeed("ip", "address", "add", `${STACK}/32`, "dev", "tap0")
        yield* kernel.exec("arping", "-U", "-c", "1", "-w", "2", "-I", "tap0", "-s", STACK, STACK)
        yield* eventually(snapshot, (counters) => counters["arp.addressConflicts"] !== undefined)
        stop()
        // Others may be asked for meanwhile.
        const answers = log.slice(log.findIndex((text) => text.includes("address conflict")))
        expect(answers.filter((text) => ANNOUNCEMENT.test(text)), log.join("\n")).not.toEqual([])
        expect(log.join()).toMatch(
          /\[W\] arp.input: address conflict: 192.0.2.2 on tap0 is also used by 02:00:00:00:00:77/
        )
        expect((yield* known).hardware).toBe(OTHER_MAC)
      }))
  })
}, ON_AND_OFF)
