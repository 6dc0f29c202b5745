/**
 * Two hosts in memory, and pings between them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Icmp, type PingOptions } from "@strata/core/ip/Icmp"
import * as NetworkStack from "@strata/core/NetworkStack"
import { Loopback, Wire } from "@strata/drivers"
import { Effect, Layer } from "effect"
import { ipv4 } from "../../support/internet.ts"

const host = (end: Wire.End, address: string) =>
  Layer.fresh(
    Layer.mergeAll(Loopback.layer, Wire.layer(end, { address })).pipe(Layer.provideMerge(NetworkStack.layerSeeded(1)))
  )

/** 192.0.2.1, with 192.0.2.2 at the other end of its wire. */
const hosts = Effect.gen(function*() {
  const wire = Wire.make()
  const left = yield* Layer.build(host(wire.left, "192.0.2.1/24"))
  yield* Layer.build(host(wire.right, "192.0.2.2/24"))
  return (to: string, options?: PingOptions) =>
    Effect.flatMap(Icmp, (icmp) => icmp.ping(ipv4(to), options)).pipe(Effect.provide(left))
})

describe("ping", () => {
  it.effect.each([0, 1, 56, 1472, 1473, 20_000, 65_507])(
    "reaches the other host with %i octets",
    (size) =>
      Effect.gen(function*() {
        const ping = yield* hosts
        const payload = Uint8Array.from({ length: size }, (_, index) => index * 7)
        const reply = yield* ping("192.0.2.2", { payload, sequence: 9, identifier: 77 })
        expect(reply).toMatchObject({ length: size + 8, timeToLive: 64, sequence: 9, identifier: 77 })
        expect(reply.address).toEqual(ipv4("192.0.2.2"))
      })
  )

  it.effect.each(["127.0.0.1", "127.1.2.3", "192.0.2.1"])(
    "reaches the host itself as %s",
    (address) =>
      Effect.gen(function*() {
        const ping = yield* hosts
        const reply = yield* ping(address, { payload: new Uint8Array(65_507) })
        expect(reply.length).toBe(65_515)
        expect(reply.address).toEqual(ipv4(address))
      })
  )

  it.effect("is not sent without a route, or when it is too big", () =>
    Effect.gen(function*() {
      const ping = yield* hosts
      const noRoute = yield* Effect.flip(ping("198.51.100.1"))
      expect(noRoute.message).toBe("there is no route to 198.51.100.1")
      const tooBig = yield* Effect.flip(ping("192.0.2.2", { payload: new Uint8Array(65_508) }))
      expect(tooBig.message).toBe("an echo of 65508 bytes does not fit; the most is 65507")
    }))
})
