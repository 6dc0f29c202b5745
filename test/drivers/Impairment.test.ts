import { assert, describe, it } from "@effect/vitest"
import { Devices, Icmp, NetworkStack, Routing, Statistics } from "@strata/core"
import { Impairment, Loss, Wire } from "@strata/drivers"
import { Context, Effect, Exit, Layer } from "effect"
import { NetAddress } from "effect/net"
import { packetOf } from "../support/bareStack.ts"
import { virtually } from "../support/tcpHosts.ts"

const LEFT = "192.0.2.1"
const RIGHT = "192.0.2.2"

const build = (device: ReturnType<typeof Wire.layer>, seed: number) =>
  Layer.build(Layer.fresh(device.pipe(Layer.provideMerge(NetworkStack.layerSeeded(seed)))))

/** Two hosts; the left one's device is behind an impairment. */
const hosts = Effect.fnUntraced(function*(options?: Impairment.Options) {
  const wire = Wire.make()
  const impairment = Impairment.make(options)
  const left = yield* build(Impairment.of(impairment)(Wire.layer(wire.left, { address: `${LEFT}/24` })), 1)
  yield* build(Wire.layer(wire.right, { address: `${RIGHT}/24` }), 2)
  const ping = Context.get(left, Icmp).ping(NetAddress.ipFromStringUnsafe(RIGHT) as NetAddress.Ipv4Address, {
    timeout: 100
  })
  const answered = Effect.map(Effect.exit(ping), Exit.isSuccess)
  return { left, impairment, ping, answered }
})

describe("Impairment", () => {
  it(
    "does nothing until it is told to, and counts both ways",
    virtually(Effect.gen(function*() {
      const { answered, impairment } = yield* hosts()
      assert.isTrue(yield* answered)
      const { inbound, outbound } = yield* impairment.counters
      assert.isAbove(outbound.offered, 0)
      assert.strictEqual(outbound.offered, outbound.delivered)
      assert.strictEqual(inbound.offered, inbound.delivered)
    }))
  )

  it(
    "has conditions for each way, which change while traffic runs",
    virtually(Effect.gen(function*() {
      const { impairment, ping } = yield* hosts({ inbound: { latency: { _tag: "Constant", value: 30 } } })
      yield* ping
      assert.closeTo((yield* ping).roundTrip, 30, 0.001)
      yield* impairment.set("outbound", { latency: { _tag: "Constant", value: 12 } })
      assert.closeTo((yield* ping).roundTrip, 42, 0.001)
      yield* impairment.set("both", { latency: { _tag: "Constant", value: 1 } })
      assert.closeTo((yield* ping).roundTrip, 2, 0.001)
    }))
  )

  it(
    "is a black hole one way, or both, until it heals",
    virtually(Effect.gen(function*() {
      const { answered, impairment } = yield* hosts()
      assert.isTrue(yield* answered)
      yield* impairment.set("inbound", { blackhole: true })
      assert.isFalse(yield* answered)
      const oneWay = yield* impairment.counters
      assert.isAbove(oneWay.inbound.blackholed, 0)
      assert.strictEqual(oneWay.outbound.blackholed, 0)
      yield* impairment.partition
      assert.isFalse(yield* answered)
      assert.isAbove((yield* impairment.counters).outbound.blackholed, 0)
      yield* impairment.heal
      assert.isTrue(yield* answered)
    }))
  )

  it(
    "takes the link down so that the stack knows, and up again",
    virtually(Effect.gen(function*() {
      const { answered, impairment, left } = yield* hosts()
      const routing = Context.get(left, Routing)
      assert.isTrue(yield* answered)
      yield* impairment.down
      assert.isUndefined(routing.lookup(0xc0000202))
      assert.isFalse(yield* answered)
      yield* impairment.up
      assert.isTrue(Context.get(left, Devices).byName("eth0")!.up)
      assert.isTrue(yield* answered)
    }))
  )

  it(
    "tells by name what found the wire full behind it",
    virtually(Effect.gen(function*() {
      const wire = Wire.make({ capacity: 2 })
      const impairment = Impairment.make()
      const left = yield* build(Impairment.of(impairment)(Wire.layer(wire.left, { address: `${LEFT}/24` })), 1)
      yield* build(Wire.layer(wire.right, { address: `${RIGHT}/24` }), 2)
      const devices = Context.get(left, Devices)
      yield* Effect.sleep(1)
      for (let count = 0; count < 5; count++) devices.transmit(devices.byName("eth0")!, packetOf(new Uint8Array(60)))
      const counters = yield* Context.get(left, Statistics).snapshot
      assert.strictEqual(counters["impairment.dropped.wireFull"], 3)
    }))
  )

  it(
    "drops what is larger than its MTU, and what a predicate names",
    virtually(Effect.gen(function*() {
      const { answered, impairment, left } = yield* hosts({ outbound: { mtu: 500 } })
      const large = Context.get(left, Icmp).ping(NetAddress.ipFromStringUnsafe(RIGHT) as NetAddress.Ipv4Address, {
        payload: new Uint8Array(600),
        timeout: 100
      })
      assert.isTrue(yield* answered)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(large)))
      assert.strictEqual((yield* impairment.counters).outbound.tooBig, 1)
      yield* impairment.set("inbound", { loss: Loss.matching(({ icmp }) => icmp?.type === 0) })
      assert.isFalse(yield* answered)
      assert.strictEqual((yield* impairment.counters).inbound.lost, 1)
    }))
  )
})
