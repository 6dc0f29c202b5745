import { assert, describe, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { Entropy } from "@strata/core/Entropy"
import { Timers } from "@strata/core/time/Timers"
import { Turn } from "@strata/core/time/Turn"
import { EthernetHeader } from "@strata/core/wire/EthernetHeader"
import { Switch, Wire } from "@strata/drivers"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as BareStack from "../support/bareStack.ts"

const BROADCAST = 0xffff_ffff_ffff
const mac = (port: number) => 0x0200_0001_0000 + port

const frame = (source: number, destination: number, mark = 0): Uint8Array => {
  const bytes = new Uint8Array(60).fill(mark, 14)
  const view = new DataView(bytes.buffer)
  EthernetHeader.set.source(view, 0, source)
  EthernetHeader.set.destination(view, 0, destination)
  return bytes
}

const services = Effect.gen(function*() {
  const context = yield* Layer.build(BareStack.layer)
  return {
    turn: Context.get(context, Turn),
    timers: Context.get(context, Timers),
    entropy: Context.get(context, Entropy)
  }
})

/** A bare stack on a new port of the switch: what it sends, and the marks of what it gets. */
const station = Effect.fnUntraced(function*(self: Switch.Switch, options?: Switch.PortOptions) {
  const port = self.port(options)
  const context = yield* Layer.build(
    Switch.layer(port).pipe(Layer.provideMerge(BareStack.layerWithRouting), Layer.fresh)
  )
  const arrivals = yield* BareStack.collect.pipe(Effect.provideContext(context))
  const devices = Context.get(context, Devices)
  return {
    port,
    send: (destination: number, mark = 0, source = mac(port.number)) =>
      devices.transmit(devices.byName("eth0")!, BareStack.packetOf(frame(source, destination, mark))),
    marks: () => arrivals.map(({ bytes }) => bytes[20]),
    octets: () => arrivals.map(({ bytes }) => [...bytes])
  }
})

const makeSwitch = (options?: Omit<Switch.Options, "services">) =>
  Effect.map(services, (given) => Switch.make({ ...options, services: given }))

const settle = TestClock.adjust(1)

describe("Switch", () => {
  it.effect("floods what it does not know and learns who is where", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch()
      const [a, b, c] = [yield* station(self), yield* station(self), yield* station(self)]
      a.send(mac(1), 1)
      yield* settle
      assert.deepStrictEqual([a.marks(), b.marks(), c.marks()], [[], [1], [1]])
      b.send(mac(0), 2)
      yield* settle
      assert.deepStrictEqual([a.marks(), b.marks(), c.marks()], [[2], [1], [1]])
      a.send(mac(1), 3)
      a.send(BROADCAST, 4)
      yield* settle
      assert.deepStrictEqual([a.marks(), b.marks(), c.marks()], [[2], [1, 3, 4], [1, 4]])
      assert.deepStrictEqual(self.known(), new Map([[mac(1), 1], [mac(0), 0]]))
      assert.deepInclude(self.counters(), {
        received: 4,
        forwarded: 2,
        flooded: 2,
        copied: 4,
        filtered: 0,
        dropped: 0
      })
    }))

  it.effect("keeps from the others what is for the port it came from", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch()
      const [a, b] = [yield* station(self), yield* station(self)]
      a.send(BROADCAST, 1, 0x02)
      a.send(0x02, 2)
      yield* settle
      assert.deepStrictEqual(b.marks(), [1])
      assert.strictEqual(self.counters().filtered, 1)
    }))

  it.effect("follows a station that moves, and forgets one that is silent", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch({ ageing: 1000 })
      const [a, b, c] = [yield* station(self), yield* station(self), yield* station(self)]
      b.send(BROADCAST, 1, 0x77)
      c.send(BROADCAST, 2, 0x77)
      a.send(0x77, 3)
      yield* settle
      assert.deepStrictEqual([b.marks(), c.marks()], [[2], [1, 3]])
      yield* TestClock.adjust(1000)
      a.send(0x77, 4)
      yield* settle
      assert.deepStrictEqual([b.marks(), c.marks()], [[2, 4], [1, 3, 4]])
      assert.isFalse(self.known().has(0x77))
    }))

  it.effect("knows as many addresses as it may; the one seen longest ago gives way", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch({ addresses: 2 })
      const a = yield* station(self)
      for (const source of [0x10, 0x20, 0x10, 0x30]) a.send(BROADCAST, 0, source)
      assert.deepStrictEqual([...self.known().keys()], [0x10, 0x30])
      a.send(BROADCAST, 0, 0x0100_0000_0001)
      assert.strictEqual(self.known().size, 2, "a group address is never a source")
    }))

  it.effect("what one cable does to a flooded frame is not seen on another", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch()
      const a = yield* station(self)
      const others = [
        yield* station(self, { conditions: { corruption: 1 } }),
        yield* station(self),
        yield* station(self, { conditions: { duplication: 1, faults: (): [] => [] } }),
        yield* station(self)
      ]
      a.send(BROADCAST, 4)
      yield* settle
      const sent = [...frame(mac(0), BROADCAST, 4)]
      const [corrupted, ...whole] = others.map((one) => one.octets())
      assert.strictEqual(corrupted!.length, 1)
      assert.notDeepEqual(corrupted![0], sent)
      assert.deepStrictEqual(whole, [[sent], [sent, sent], [sent]])
    }))

  it.effect("floods no more frames a second than it may", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch({ floodLimit: 3 })
      const [a, b] = [yield* station(self), yield* station(self)]
      for (let mark = 1; mark <= 5; mark++) a.send(BROADCAST, mark)
      yield* settle
      assert.deepStrictEqual(b.marks(), [1, 2, 3])
      assert.strictEqual(self.counters().stormed, 2)
      yield* TestClock.adjust(1000)
      a.send(BROADCAST, 6)
      yield* settle
      assert.deepStrictEqual(b.marks(), [1, 2, 3, 6])
    }))

  it.effect("sends to each port under its own conditions", () =>
    Effect.gen(function*() {
      const self = yield* makeSwitch()
      const a = yield* station(self)
      const slow = yield* station(self, { conditions: { latency: { _tag: "Constant", value: 50 } } })
      const dead = yield* station(self, { conditions: { blackhole: true } })
      a.send(BROADCAST, 1)
      yield* TestClock.adjust(49)
      assert.deepStrictEqual(slow.marks(), [])
      yield* TestClock.adjust(2)
      assert.deepStrictEqual(slow.marks(), [1])
      assert.deepInclude(slow.port.counters(), { offered: 1, delivered: 1 })
      assert.deepInclude(dead.port.counters(), { offered: 1, blackholed: 1 })
      slow.port.set({ mtu: 10 })
      a.send(BROADCAST, 2)
      yield* TestClock.adjust(100)
      assert.strictEqual(slow.port.counters().tooBig, 1)
      dead.port.set({ blackhole: false })
      a.send(BROADCAST, 3)
      yield* settle
      assert.deepStrictEqual(dead.marks(), [3])
    }))
})

const ends = (options: Wire.Options) =>
  Effect.gen(function*() {
    const wire = Wire.make(options)
    const plug = Effect.fnUntraced(function*(end: Wire.End) {
      const context = yield* Layer.build(BareStack.layer)
      return yield* Effect.gen(function*() {
        const arrivals = yield* BareStack.collect
        const { device } = yield* Wire.attach(end)
        const devices = yield* Devices
        return {
          send: (mark: number) => devices.transmit(device, BareStack.packetOf(frame(1, 2, mark))),
          marks: () => arrivals.map(({ bytes }) => bytes[20]),
          octets: () => arrivals.map(({ bytes }) => [...bytes])
        }
      }).pipe(Effect.provideContext(context))
    })
    return { wire, left: yield* plug(wire.left), right: yield* plug(wire.right) }
  })

describe("Wire under conditions", () => {
  it.effect("delays each way by its own latency", () =>
    Effect.gen(function*() {
      const { left, right, wire } = yield* ends({
        conditions: { latency: { _tag: "Constant", value: 10 } },
        towards: { left: { latency: { _tag: "Constant", value: 30 } } }
      })
      left.send(1)
      right.send(2)
      yield* TestClock.adjust(11)
      assert.deepStrictEqual([left.marks(), right.marks()], [[], [1]])
      assert.strictEqual(wire.counters().left.inFlight, 1)
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(left.marks(), [2])
    }))

  it.effect("loses what is under way when it is cut, and changes while it carries", () =>
    Effect.gen(function*() {
      const { left, right, wire } = yield* ends({ conditions: { latency: { _tag: "Constant", value: 10 } } })
      left.send(1)
      yield* TestClock.adjust(5)
      wire.cut()
      wire.set("right", { latency: { _tag: "Constant", value: 1 } })
      left.send(2)
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(right.marks(), [2])
      assert.deepInclude(wire.counters().right, { offered: 2, lost: 1, delivered: 1, inFlight: 0 })
    }))

  it.effect("counts what arrives at one instant and finds no room", () =>
    Effect.gen(function*() {
      const { left, right, wire } = yield* ends({
        capacity: 8,
        conditions: { latency: { _tag: "Constant", value: 10 } }
      })
      for (let mark = 0; mark < 20; mark++) left.send(mark)
      assert.deepInclude(wire.counters().right, { offered: 20, inFlight: 20, delivered: 0, overflowed: 0 })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(right.marks(), [0, 1, 2, 3, 4, 5, 6, 7])
      assert.deepInclude(wire.counters().right, { offered: 20, inFlight: 0, delivered: 8, overflowed: 12 })
    }))

  it.effect("shows its listeners a frame as it was put on, whatever happens to it", () =>
    Effect.gen(function*() {
      const { left, right, wire } = yield* ends({ conditions: { corruption: 1 } })
      const seen: Array<Uint8Array> = []
      wire.onFrame(({ bytes }) => seen.push(bytes))
      left.send(7)
      yield* settle
      assert.deepStrictEqual(seen, [frame(1, 2, 7)])
      assert.strictEqual(right.marks().length, 1)
      assert.strictEqual(wire.counters().right.corrupted, 1)
    }))
})
