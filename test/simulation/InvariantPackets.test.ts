import { assert, describe, it } from "@effect/vitest"
import type { AttachedDevice } from "@strata/core/device/Devices"
import { NO_COUNTERS } from "@strata/drivers/path/Path"
import * as InvariantPackets from "@strata/simulation/InvariantPackets"

const counter = (value: number) => ({ name: "", value })

const device = (transmitted: number, received: number) =>
  ({
    counters: {
      transmittedPackets: counter(transmitted),
      receivedPackets: counter(received),
      transmittedOctets: counter(0),
      receivedOctets: counter(0)
    }
  }) as AttachedDevice

const meter = (transmitted: number, received: number) => {
  const self = new InvariantPackets.Meter()
  self.add(device(transmitted, 0))
  self.add(device(0, received))
  return self
}

const PATH = {
  ...NO_COUNTERS,
  offered: 20,
  duplicated: 2,
  delivered: 10,
  inFlight: 3,
  lost: 4,
  blackholed: 2,
  overflowed: 2,
  tooBig: 1
}
const SWITCH = {
  received: 30,
  forwarded: 10,
  flooded: 15,
  copied: 20,
  filtered: 3,
  stormed: 2,
  restricted: 6,
  dropped: 4
}
const HOST = {
  "device.dropped.noLinkLayer": 1,
  "device.dropped.tooBig": 2,
  "ethernet.dropped.notForUs": 9,
  "arp.received": 10,
  "arp.sent": 10,
  "arp.dropped.ownSender": 3,
  "arp.dropped.hostUnreachable": 4,
  "ipv4.received": 80,
  "ipv4.sent": 46,
  "ipv4.fragmentsReceived": 12,
  "ipv4.reassembled": 5,
  "ipv4.dropped.badChecksum": 7,
  "ipv4.dropped.unknownProtocol": 1,
  "ipv4.dropped.noRoute": 100,
  "ipv4.dropped.badQuote": 100,
  "ipv4.dropped.reassemblyTimeout": 100,
  "ipv4.delivered": 65,
  "tcp.received": 50,
  "udp.received": 10,
  "icmp.received": 5
}

/** Whatever is off by one is noticed. */
const offByOne = <A extends Record<string, number>>(
  counters: A,
  imbalance: (counters: A) => string | undefined,
  except: ReadonlyArray<string> = []
) => {
  assert.isUndefined(imbalance(counters))
  for (const name of Object.keys(counters)) {
    const both = [1, -1].map((by) => imbalance({ ...counters, [name]: counters[name]! + by }))
    if (except.includes(name)) assert.deepStrictEqual(both, [undefined, undefined], name)
    else assert.isTrue(both.some((what) => what !== undefined), name)
  }
}

describe("packets are accounted for", () => {
  it("on a wire", () => {
    offByOne(
      PATH,
      (path) => InvariantPackets.wire(meter(23, 0), path, 3, meter(0, 10)),
      ["corrupted", "reordered", "marked"]
    )
    assert.strictEqual(
      InvariantPackets.wire(meter(24, 0), PATH, 3, meter(0, 10)),
      "packets transmitted by the device: 24, but offered to the wire, or to nobody: 23"
    )
    assert.strictEqual(
      InvariantPackets.wire(meter(23, 0), PATH, 3, meter(0, 9)),
      "packets delivered: 10, but received by the device: 9"
    )
  })

  it("on a switch", () => {
    const ports = [{ meter: meter(10, 10), counters: PATH }, { meter: meter(20, 0), counters: NO_COUNTERS }]
    offByOne(SWITCH, (counters) => InvariantPackets.lan(counters, ports))
    assert.isDefined(InvariantPackets.lan(SWITCH, [ports[0]!, { meter: meter(21, 0), counters: NO_COUNTERS }]))
    assert.isDefined(InvariantPackets.lan(SWITCH, [ports[0]!, { meter: meter(20, 1), counters: NO_COUNTERS }]))
  })

  it("in a host", () => {
    const devices = [device(30, 60), device(20, 40)]
    offByOne(
      HOST,
      (counters) => InvariantPackets.host(counters, devices),
      ["arp.dropped.ownSender", "ipv4.dropped.noRoute", "ipv4.dropped.badQuote", "ipv4.dropped.reassemblyTimeout"]
    )
  })

  it("in a host with a device that went down, as far as is known", () => {
    const down = { ...HOST, "device.dropped.deviceDown": 3 }
    assert.isUndefined(InvariantPackets.host(down, [device(50, 100)]))
    assert.isUndefined(InvariantPackets.host(down, [device(50, 103)]))
    assert.isDefined(InvariantPackets.host(down, [device(50, 104)]))
    assert.isDefined(InvariantPackets.host(down, [device(50, 99)]))
  })
})
