/**
 * A kernel that drops large packets and says nothing: what a black hole looks like from the stack.
 */
import { expect, layer } from "@effect/vitest"
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, ON_THE_WIRE, tcpPeer } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { digest, patterned } from "../support/transfer.ts"

const BLACK_HOLE = `
table ip blackhole {
  chain input {
    type filter hook input priority 0
    meta length > 1200 drop
  }
}
`

describeOffloads("Linux, a path that carries less than it says", ["nft"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("is found out, and everything arrives", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode, stderr } = yield* kernel.execWith({ input: BLACK_HOLE }, "nft", "-f", "-")
        expect([exitCode, stderr]).toEqual([0, ""])
        const peer = yield* tcpPeer(kernel, { listen: 9000, end: "afterReceiving" })
        yield* peer.prints(/listening/)
        const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
        const all = patterned(2_000_000, 1)
        yield* connection.write(all)
        yield* connection.closeWrite
        yield* peer.prints(/receivedHash/)
        expect(JSON.parse(peer.stdout())).toMatchObject({ received: all.length, receivedHash: digest(all) })
        // Headers take 52 octets.
        expect(connection.controlBlock().snd.mss).toBeLessThanOrEqual(1148)
        expect(connection.controlBlock().snd.mss).toBeGreaterThan(1100)
      }))
  })
}, ON_THE_WIRE)
