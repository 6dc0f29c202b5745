/**
 * UDP between the stack and the kernel.
 */
import { expect, layer } from "@effect/vitest"
import { Udp } from "@strata/core"
import type { BindOptions } from "@strata/core/udp/Udp"
import * as Effect from "effect/Effect"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK, udpPeer, udpReport } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { digest, patterned } from "../support/transfer.ts"

const echo = Effect.fnUntraced(function*(options: BindOptions) {
  const port = yield* (yield* Udp).bind(options)
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    for (const datagram of yield* port.take) yield* port.send(datagram.payload, datagram.source)
  })))
})

const lengths = [0, 1, 1472, 1473, 9000, 65_507]

describeOffloads("Linux, UDP", ["nc"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel gets its datagrams back, of every size", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* echo({ port: 7 })
        const peer = yield* udpPeer(kernel, { send: { host: STACK, port: 7, lengths } })
        expect(yield* udpReport(peer)).toEqual({ equal: lengths.length })
      }))

    it.effect("the stack gets its datagrams back, of every size", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* udpPeer(kernel, { echo: 9000 })
        yield* peer.prints(/listening/)
        const port = yield* (yield* Udp).bind({ remote: inet(KERNEL, 9000) })
        for (const length of lengths) {
          const sent = patterned(length, length)
          yield* port.send(sent)
          const [answer] = yield* port.take
          expect(answer.source).toEqual(inet(KERNEL, 9000))
          expect(digest(answer.payload)).toBe(digest(sent))
        }
      }))

    it.effect("nc -u gets back what it sends", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* echo({ port: 7 })
        const nc = yield* kernel.spawn("nc", "-u", STACK, "7")
        yield* nc.write("hello\n")
        yield* nc.prints(/hello\n/)
      }))

    it.effect("a port nobody has refuses, here and there", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* udpPeer(kernel, { send: { host: STACK, port: 4444, lengths: [10] } })
        expect(yield* udpReport(peer)).toEqual({ equal: 0, error: "ECONNREFUSED" })

        const port = yield* (yield* Udp).bind({ remote: inet(KERNEL, 4444) })
        yield* port.send(patterned(10, 0))
        const error = yield* Effect.flip(port.take)
        expect(error.reason._tag).toBe("Refused")
      }))

    it.effect("a datagram to everybody reaches the stack, and one from it the kernel", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const port = yield* (yield* Udp).bind({ port: 9100, broadcast: true })
        const listening = yield* kernel.spawn("nc", "-v", "-n", "-u", "-l", "-p", "9101")
        yield* listening.prints(/Bound/)
        yield* port.send(new TextEncoder().encode("to all\n"), inet("192.0.2.255", 9101))
        yield* listening.prints(/to all\n/)

        const sender = yield* kernel.spawn("nc", "-u", "-b", "-p", "9102", "192.0.2.255", "9100")
        yield* sender.write("hear ye\n")
        const [datagram] = yield* port.take
        expect(new TextDecoder().decode(datagram.payload)).toBe("hear ye\n")
        expect(datagram.source).toEqual(inet(KERNEL, 9102))
      }))
  })
})
