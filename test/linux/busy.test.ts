/**
 * A process that computes for long, while the kernel's acknowledgements wait in the queue of the TAP.
 */
import { expect, layer } from "@effect/vitest"
import { Statistics, Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, ON_AND_OFF, tcpPeer } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { digest, patterned } from "../support/transfer.ts"

/** Keeps the event loop from doing anything else, in milliseconds. */
const compute = (milliseconds: number) =>
  Effect.sync(() => {
    for (const until = performance.now() + milliseconds; performance.now() < until;);
  })

describeOffloads("Linux, a busy process", [], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("does not take for lost what was acknowledged while it computed", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* tcpPeer(kernel, { listen: 9000, end: "afterReceiving" })
        yield* peer.prints(/listening/)
        const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
        const all = patterned(30_000, 1)
        for (let at = 0; at < all.length; at += 3000) {
          yield* connection.write(all.subarray(at, at + 3000))
          // Twice the retransmission timeout, and what a probe of the tail would wait many times.
          yield* compute(400)
          yield* Effect.sleep(20)
        }
        yield* connection.closeWrite
        yield* peer.prints(/receivedHash/)
        expect(JSON.parse(peer.stdout())).toMatchObject({ received: 30_000, receivedHash: digest(all) })
        const counters = yield* (yield* Statistics).snapshot
        expect(counters["tcp.retransmitted"] ?? 0).toBe(0)
      }))
  })
}, ON_AND_OFF)
