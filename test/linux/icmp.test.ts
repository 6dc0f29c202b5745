/**
 * ARP and ICMP between the stack and the kernel.
 */
import { expect, layer } from "@effect/vitest"
import { ArpCache, Icmp } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, MAC, STACK } from "../support/linux.ts"
import { ipv4 } from "../support/Probe.ts"

describeOffloads("Linux, ARP and ICMP", ["ping", "arping"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel's first ping is answered, ARP included", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("ping", "-c", "3", "-i", "0.2", "-W", "5", STACK)
        expect(stdout).toContain("3 packets transmitted, 3 received, 0% packet loss")
        expect(stdout).toContain("ttl=64")
        const neighbours = yield* kernel.succeed("ip", "neighbour", "show", "dev", "tap0")
        expect(neighbours.stdout).toContain(`${STACK} lladdr ${MAC}`)
      }))

    it.effect.each([0, 1, 1472, 1473, 8000, 40_000, 65_507])(
      "ping with %i octets, fragmented where it must be",
      (size) =>
        Effect.gen(function*() {
          const kernel = yield* Kernel
          // Each by itself: of several, ping leaves without the last one when it comes late, or sends another one meanwhile.
          const one = `ping -c 1 -W 20 -s ${size} -p 0123456789abcdef ${STACK}`
          const { stdout } = yield* kernel.succeed("sh", "-c", Array(5).fill(one).join(" && "))
          expect(stdout.split("1 packets transmitted, 1 received, 0% packet loss")).toHaveLength(6)
          expect(stdout).not.toContain("wrong data byte")
          expect(stdout).not.toContain("DUP!")
        })
    )

    it.effect("a flood of 10,000 pings loses none", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("ping", "-f", "-q", "-c", "10000", STACK)
        expect(stdout).toContain("10000 packets transmitted, 10000 received")
        expect(stdout).not.toContain("errors")
      }))

    it.effect("arping", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { stdout } = yield* kernel.succeed("arping", "-c", "2", "-w", "20", "-I", "tap0", STACK)
        expect(stdout.toLowerCase()).toContain(MAC)
      }))

    it.effect("nobody answers for an address that is not ours", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode, stdout } = yield* kernel.exec("arping", "-c", "1", "-w", "1", "-I", "tap0", "192.0.2.77")
        expect(exitCode).not.toBe(0)
        expect(stdout.toLowerCase()).not.toContain(MAC)
      }))

    it.effect.each([0, 56, 1473, 65_507])(
      "the stack pings the kernel with %i octets",
      (size) =>
        Effect.gen(function*() {
          const icmp = yield* Icmp
          for (let sequence = 1; sequence <= 3; sequence++) {
            const payload = Uint8Array.from({ length: size }, (_, index) => index * sequence)
            const reply = yield* icmp.ping(ipv4(KERNEL), { payload, sequence, timeout: "5 seconds" })
            expect(reply).toMatchObject({ address: ipv4(KERNEL), length: 8 + size, sequence, timeToLive: 64 })
            expect(reply.roundTrip).toBeGreaterThan(0)
          }
          const neighbours = yield* (yield* ArpCache).entries
          expect(neighbours.map((neighbour) => neighbour.address)).toContainEqual(ipv4(KERNEL))
        })
    )

    it.effect("a host that is not there is unreachable", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* Icmp).ping(ipv4("192.0.2.77"), { timeout: "20 seconds" }))
        expect(error.reason).toMatchObject({ _tag: "PingUnreachable", kind: "hostUnreachable", reporter: ipv4(STACK) })
      }))
  })
})
