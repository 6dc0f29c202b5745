/**
 * What microps does wrong in UDP, and this stack must not. The numbers are those of the list of its known defects.
 */
import { describe, expect, it } from "@effect/vitest"
import { NetworkStack, Udp } from "@strata/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { inet, ipv4, PEER, Probe, STACK, udp } from "../support/Probe.ts"

const stack = Probe.layer().pipe(Layer.provideMerge(NetworkStack.layer))
const bytes = new TextEncoder().encode("hello")

describe("defects of microps: UDP", () => {
  it.effect("1: the ephemeral port of a socket is the one on the wire", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const ports = new Set<number>()
      for (let attempt = 0; attempt < 20; attempt++) {
        const port = yield* (yield* Udp).bind()
        yield* port.send(bytes, inet(PEER, 7))
        const sent = probe.takeUdp()
        expect(sent).toEqual([{ sourcePort: port.port, destinationPort: 7, payload: bytes }])
        expect(port.port).toBeGreaterThanOrEqual(49_152)
        ports.add(port.port)

        probe.send(udp({ from: 7, to: port.port, payload: bytes }))
        const [answer] = yield* port.take
        expect(answer.source).toEqual(inet(PEER, 7))
      }
      expect(ports.size).toBe(20)
    }).pipe(Effect.provide(stack)))

  it.effect("9: a datagram without a checksum is accepted", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const port = yield* (yield* Udp).bind({ port: 7 })
      probe.send(udp({ from: 50_000, to: 7, payload: bytes, checksum: false }))
      expect(yield* port.take).toEqual([{
        payload: bytes,
        source: inet(PEER, 50_000),
        destination: ipv4(STACK)
      }])
    }).pipe(Effect.provide(stack)))

  it.effect("9: one with a wrong checksum is not", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const port = yield* (yield* Udp).bind({ port: 7 })
      const damaged = udp({ from: 50_000, to: 7, payload: bytes })
      damaged[damaged.length - 1]! ^= 1
      probe.send(damaged)
      probe.send(udp({ from: 50_001, to: 7, payload: bytes }))
      const received = yield* port.take
      expect(received.map((datagram) => datagram.source.port)).toEqual([50_001])
    }).pipe(Effect.provide(stack)))

  it.effect("14: a socket that could not be opened leaves nothing behind", () =>
    Effect.gen(function*() {
      const service = yield* Udp
      for (let attempt = 0; attempt < 50; attempt++) {
        yield* Effect.scoped(Effect.gen(function*() {
          yield* service.bind({ port: 7 })
          const second = yield* Effect.flip(Effect.scoped(service.bind({ port: 7 })))
          expect(second.reason._tag).toBe("AddressInUse")
          const foreign = yield* Effect.flip(Effect.scoped(service.bind({ address: ipv4("198.51.100.1"), port: 8 })))
          expect(foreign.reason._tag).toBe("AddressNotAvailable")
          yield* Effect.scoped(service.bind({ port: 8 }))
        }))
      }
      const probe = yield* Probe
      probe.send(udp({ from: 50_000, to: 7, payload: bytes }))
      expect(probe.takeIcmp()).toMatchObject([{ type: 3, code: 3 }])
    }).pipe(Effect.provide(stack)))
})
