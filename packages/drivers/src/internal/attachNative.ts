/**
 * The life of a native device: opened, attached to the stack, and closed
 * exactly once, however its scope ends.
 */
import type { Offload } from "@strata/core/device/Device"
import { type Attachment, Devices, type DevicesError } from "@strata/core/device/Devices"
import { Statistics } from "@strata/core/Statistics"
import { makeDrop, type Trace } from "@strata/core/Trace"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BusyPolling } from "../BusyPolling.ts"
import type { DeviceError } from "../DeviceError.ts"
import { type NativeOptions, parseMac, parseMtu, resolveOffload } from "../DeviceOptions.ts"
import { lossOf, OnLost, open, type Opener, Wanted } from "../Native.ts"
import { Pretenuring } from "../Pretenuring.ts"
import { YoungGeneration } from "../YoungGeneration.ts"
import { type Counters, NativeDriver, type Sizes } from "./NativeDriver.ts"

export interface Kind {
  readonly opener: Opener
  /** What its drops are counted under. */
  readonly layer: string
  /** The stack's own hardware address where none is given; unsigned 48-bit integers. */
  readonly macFrom: (interfaceAddress: number) => number
  /** The largest payload of a frame that may arrive when nothing joins them, in octets. */
  readonly largestFrame: (mtu: number) => number
  /** How many of the largest frames a batch has room for. */
  readonly largestPerBatch: number
}

export const attachNative: (
  kind: Kind,
  name: string,
  options: NativeOptions
) => Effect.Effect<
  Attachment,
  DeviceError | DevicesError,
  Devices | Trace | Statistics | Scope.Scope
> = Effect.fnUntraced(function*(kind, name, options) {
  const mac = yield* parseMac(name, options.mac)
  const givenMtu = yield* parseMtu(name, options.mtu)
  const devices = yield* Devices
  const statistics = yield* Statistics
  const drop = yield* makeDrop(kind.layer)
  const wanted = resolveOffload(options.offload)
  const context = yield* Effect.context()
  const report = yield* OnLost
  const collect = yield* YoungGeneration
  const busyPolling = yield* BusyPolling
  const switchOffPretenuring = yield* Pretenuring

  // A device that is gone stays attached and down, so that its routes lead nowhere.
  const onLost = (errno: number) => {
    const closed = Effect.ignore(devices.close(name))
    Effect.runForkWith(context)(Effect.andThen(closed, report(lossOf(name, errno))))
  }

  const native = yield* Effect.acquireRelease(
    open(kind.opener, name, options.namespace, bitsOf(wanted)),
    (opened) => Effect.sync(() => opened.close())
  )
  switchOffPretenuring()
  const mtu = givenMtu ?? native.mtu()
  const driver = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const largest = wanted.tcp || wanted.udp ? MAX_PACKET : kind.largestFrame(mtu)
      const made = new NativeDriver(
        native,
        sizesFor(largest, kind.largestPerBatch),
        makeCounters(name, statistics),
        drop,
        onLost,
        collect,
        busyPolling
      )
      made.prepare()
      return made
    }),
    (made) => Effect.sync(() => made.close())
  )
  const attachment = yield* devices.attach({
    name,
    type: "ethernet",
    framing: "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
    mtu,
    hardwareAddress: mac ?? kind.macFrom(native.hardwareAddress()),
    offload: offloadOf(wanted),
    transmit: driver.transmit,
    flush: driver.flush
  })
  yield* Effect.sync(() => driver.start(attachment))
  return attachment
})

type Resolved = ReturnType<typeof resolveOffload>

const bitsOf = (wanted: Resolved): number =>
  (wanted.vnet ? Wanted.vnet : 0) | (wanted.checksum ? Wanted.checksum : 0) | (wanted.tcp ? Wanted.tcp : 0) |
  (wanted.udp ? Wanted.udp : 0) | (wanted.thread ? Wanted.thread : 0)

/** What the kernel does not do, the addon does. */
const offloadOf = ({ checksum, tcp }: Resolved): Offload => ({ checksum, segmentation: tcp ? MAX_PACKET : 0 })

const makeCounters = (name: string, statistics: Statistics["Service"]): Counters => {
  const counter = (what: string) => statistics.counter(`device.${name}.${what}`)
  return {
    reads: counter("reads"),
    polls: counter("polls"),
    framesRead: counter("framesRead"),
    octetsRead: counter("octetsRead"),
    writes: counter("writes"),
    framesWritten: counter("framesWritten"),
    octetsWritten: counter("octetsWritten"),
    octetsCopied: counter("octetsCopied"),
    threadSwitches: counter("threadSwitches")
  }
}

const MAX_PACKET = 65_535
const ETHERNET_HEADER = 14
const VLAN_TAG = 4
const CACHE_LINE = 64
/** Octets between two received frames: one behind the other, each at a good place. */
const GAP = 64

const BATCH = 16
const THREADED_BATCH = 128
/** Of the smallest frames some 300 µs of work. */
const BUDGET = 256
const BUDGET_OCTETS = 4 << 20
/** Octets from which on a batch has fewer frames, so that they stay in the cache of a processor while the stack is at them. */
const LARGE = 16_384
/** Headers, and payload that is copied because it is small; there is room for some of the largest. */
const TRANSMITTED_OCTETS = 1 << 20

/** Octets of a slot for any frame whose payload is at most `mtu`, tagged or not, and one more. */
const slotFor = (mtu: number): number => Math.ceil((mtu + ETHERNET_HEADER + VLAN_TAG + 1) / CACHE_LINE) * CACHE_LINE

const sizesFor = (largest: number, largestPerBatch: number): Sizes => {
  const receiveSlot = Math.max(2048, slotFor(largest))
  return {
    receiveSlot,
    receiveOctets: (receiveSlot + GAP) * (receiveSlot < LARGE ? BATCH : largestPerBatch),
    batch: BATCH,
    threadedBatch: THREADED_BATCH,
    budget: BUDGET,
    budgetOctets: BUDGET_OCTETS,
    transmitOctets: TRANSMITTED_OCTETS,
    transmitSlots: 512,
    pieces: 4096
  }
}
