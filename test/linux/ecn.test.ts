/**
 * Explicit congestion notification (RFC 3168) with the kernel, both ways.
 */
import { expect, layer } from "@effect/vitest"
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Host, KERNEL, Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"
import { inet } from "../support/Probe.ts"

describeLinux("Linux, ECN", ["nc"], () => {
  layer(Host, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel asks, and the stack grants it", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("sysctl", "-w", "net.ipv4.tcp_ecn=1")
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const accepting = yield* Effect.forkChild(listener.accept)
        const nc = yield* kernel.spawn("nc", STACK, "7")
        yield* nc.write("hello\n")
        const connection = yield* Fiber.join(accepting)
        yield* connection.read
        expect(connection.controlBlock().options.ecn).toBe(true)
        yield* connection.close
        yield* nc.endInput
      }))

    it.effect("the stack asks, and the kernel grants it", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listening = yield* kernel.spawn("nc", "-v", "-n", "-l", "-p", "9000")
        yield* listening.prints(/Listening/)
        const connection = yield* (yield* Tcp).connect({
          remote: inet(KERNEL, 9000),
          settings: { explicitCongestionNotification: "active" }
        })
        yield* connection.write(new TextEncoder().encode("from the stack\n"))
        yield* listening.prints(/from the stack\n/)
        expect(connection.controlBlock().options.ecn).toBe(true)
        // The kernel has seen that the text may be marked.
        expect((yield* kernel.exec("nstat", "-asz", "IpExtInECT0Pkts")).stdout).toMatch(/IpExtInECT0Pkts\s+[1-9]/)
        yield* connection.close
        yield* listening.endInput
      }))
  })
})
