/**
 * What of IPv4 the kernel's ping can ask for beyond an echo.
 */
import { expect, layer } from "@effect/vitest"
import { Statistics } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK } from "../support/linux.ts"

const counters = Effect.flatMap(Statistics, (statistics) => statistics.snapshot)

describeOffloads("Linux, IPv4", ["ping"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("ping -R sees the stack record itself", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("ping", "-n", "-R", "-c", "1", "-W", "5", STACK)
        const route = stdout.slice(stdout.indexOf("RR:") + 3).split("\n").slice(0, 3).map((line) => line.trim())
        expect(route).toEqual([KERNEL, STACK, KERNEL])
      }))

    it.effect("ping -T sees the stack's time of day", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("ping", "-n", "-T", "tsandaddr", "-c", "1", "-W", "5", STACK)
        expect(stdout).toMatch(/TS:/)
        expect(stdout).toContain(`${STACK}\t`)
      }))

    it.effect("a request with a type of service is answered", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("ping", "-Q", "0xb8", "-c", "1", "-W", "5", STACK)
        expect(stdout).toContain("1 received")
      }))

    it.effect("fragments of the smallest size are put together", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const before = (yield* counters)["ipv4.reassembled"] ?? 0
        yield* kernel.succeed("ip", "route", "add", `${STACK}/32`, "dev", "tap0", "src", KERNEL, "mtu", "lock", "552")
        const { stdout } = yield* kernel.succeed("ping", "-c", "3", "-i", "0.2", "-W", "5", "-s", "20000", STACK)
        yield* kernel.succeed("ip", "route", "del", `${STACK}/32`)
        expect(stdout).toContain("3 packets transmitted, 3 received, 0% packet loss")
        expect((yield* counters)["ipv4.reassembled"]).toBe(before + 3)
      }))

    it.effect("a broadcast ping is not answered", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode } = yield* kernel.exec("ping", "-b", "-c", "1", "-W", "1", "192.0.2.255")
        expect(exitCode).not.toBe(0)
        expect((yield* counters)["icmp.dropped.broadcastEcho"]).toBe(1)
      }))
  })
})
