/**
 * Keep-alives, and a kernel that answers them until it cannot.
 */
import { expect, layer } from "@effect/vitest"
import { Statistics, Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, ON_AND_OFF, tcpPeer } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"

const SILENCE = `
table ip silence {
  chain input {
    type filter hook input priority 0
    tcp dport 9000 drop
  }
}
`

describeOffloads("Linux, an idle connection", ["nft"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("is kept while the kernel answers, and given up when it does not", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* tcpPeer(kernel, { listen: 9000, end: "never" })
        yield* peer.prints(/listening/)
        const connection = yield* (yield* Tcp).connect({
          remote: inet(KERNEL, 9000),
          settings: { keepAlive: true, keepAliveIdle: 100, keepAliveInterval: 1000, keepAliveProbes: 2 }
        })
        const asked = Effect.map((yield* Statistics).snapshot, (counters) => counters["tcp.keepAlives"] ?? 0)
        // Without answers, the third question would not have come: the connection would have been given up.
        yield* Effect.sleep(5000)
        expect(yield* asked).toBeGreaterThan(4)
        expect(connection.controlBlock().keepAlive.asked).toBeLessThan(2)
        expect(connection.state()).toBe("ESTABLISHED")

        const { exitCode, stderr } = yield* kernel.execWith({ input: SILENCE }, "nft", "-f", "-")
        expect([exitCode, stderr]).toEqual([0, ""])
        expect(yield* Effect.flip(connection.read)).toMatchObject({ reason: { _tag: "ConnectionTimedOut" } })
      }))
  })
}, ON_AND_OFF)
