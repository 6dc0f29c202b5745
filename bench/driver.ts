/**
 * What the native drivers move, without a stack above them: TCP segments of a TAP, sent to a kernel that throws them away,
 * and received from a second process that puts them on the interface through a packet socket as fast as it can.
 *
 *     node bench/driver.ts [seconds]
 *
 * In a network namespace of its own, with every kind of offload: segments of the MTU alone, segments of up to 64 KiB that
 * the driver cuts and joins, and such that the kernel does. Two cores are needed. Beside the rates, which depend on the
 * machine, stand system calls and copied octets, which do not.
 */
import { type AttachedDevice, Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import * as Checksum from "@strata/core/wire/Checksum"
import { PacketSocket, Tap } from "@strata/drivers"
import { Effect } from "effect"
import * as BareStack from "../test/support/bareStack.ts"
import { OFFLOADS } from "../test/support/linux.ts"
import * as Namespace from "../test/support/namespace.ts"

/** What is sent here is acknowledged by nobody, so that nothing would bound what waits for a thread of the kernel's. */
const KINDS = Object.entries(OFFLOADS).map(([label, offload]) =>
  [label, offload === false ? false : { ...(offload === true ? {} : offload), thread: false }] as const
)
const ROUNDS = 3
const SEGMENT = 1448
const LARGE = 44 * SEGMENT
const HEADERS = { network: 14, transport: 34, payload: 66 } as const
/** Octets of payload that one turn of the stack sends. */
const PER_TURN = 16 * LARGE

const [, script, argument = "3", namespaceOfGenerator] = process.argv
const milliseconds = Number(argument) * 1000

const say = (line: string) => process.stdout.write(`${line}\n`)

const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const text = new Uint8Array(LARGE).fill(7)

/** A segment to a station that is not there, with its text where it stands. */
const segmentOf = (length: number) => {
  const packet = Packet.make(HEADERS.payload)
  packet.end += HEADERS.payload
  const { start, view } = packet
  const at = { network: start + HEADERS.network, transport: start + HEADERS.transport }
  const ownLength = HEADERS.payload - HEADERS.transport + length
  view.setUint32(start, 0x0200_0000)
  view.setUint16(start + 4, 0x0099)
  view.setUint16(start + 12, 0x0800)
  view.setUint16(at.network, 0x4500)
  view.setUint16(at.network + 2, HEADERS.transport - HEADERS.network + ownLength)
  view.setUint16(at.network + 6, 0x4000)
  view.setUint16(at.network + 8, 0x4006)
  view.setUint32(at.network + 12, 0xc000_0202)
  view.setUint32(at.network + 16, 0xc000_0201)
  view.setUint16(at.network + 10, Checksum.finish(Checksum.add(0, packet.bytes, at.network, at.transport)))
  view.setUint16(at.transport + 12, 0x8010)
  view.setUint16(at.transport + 16, Checksum.pseudoHeader(0xc000_0202, 0xc000_0201, 6, ownLength))
  packet.attach(text, 0, length)
  packet.segmentSize = length > SEGMENT ? SEGMENT : 0
  packet.checksumStart = at.transport
  packet.checksumOffset = 16
  return packet
}

/** Sends for that long. */
const send = Effect.fnUntraced(function*(device: AttachedDevice, duration: number) {
  const devices = yield* Devices
  const turn = yield* Turn
  const length = device.offload.segmentation > LARGE ? LARGE : SEGMENT
  const packet = segmentOf(length)
  const work = () => {
    for (let sent = 0; sent < PER_TURN; sent += length) {
      packet.checksum = Packet.ChecksumState.partial
      devices.transmit(device, packet)
    }
  }
  const end = performance.now() + duration
  while (performance.now() < end) {
    for (let turns = 0; turns < 10; turns++) turn.run(work)
    yield* nextTurn
  }
})

/** What the device's counters say of `work`. */
const measure = <A, E, R>(label: string, direction: "Read" | "Written", work: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const statistics = yield* Statistics
    const counter = (name: string) => statistics.counter(`device.tap0.${name}`).value
    const read = () => ({
      calls: counter(direction === "Read" ? "reads" : "writes"),
      frames: counter(`frames${direction}`),
      octets: counter(`octets${direction}`),
      copied: counter("octetsCopied"),
      processor: process.cpuUsage()
    })
    const before = read()
    const start = performance.now()
    yield* work
    const seconds = (performance.now() - start) / 1000
    const after = read()
    const octets = after.octets - before.octets
    const used = process.cpuUsage(before.processor)
    const perMebibyte = (count: number) => (count / (octets / 2 ** 20)).toFixed(1).padStart(8)
    const columns = [
      `${(octets * 8 / seconds / 1e9).toFixed(1).padStart(6)} Gbit/s`,
      `${((used.user + used.system) * 1000 / (octets / 1024)).toFixed(0).padStart(5)} ns/KiB`,
      `${perMebibyte(after.frames - before.frames)} frames/MiB`,
      `${perMebibyte(after.calls - before.calls)} calls/MiB`,
      `${((after.copied - before.copied) / octets).toFixed(3)} copied`
    ]
    say(`${label.padEnd(30)} ${columns.join(" ")}`)
  })

const namespaceWithTap = Effect.fnUntraced(function*(offload: Tap.Options["offload"]) {
  const namespace = yield* Namespace.make
  const { device } = yield* Tap.attach({ namespace: namespace.path, offload })
  yield* namespace.succeed("ip", "link", "set", "tap0", "up", "txqueuelen", "1000")
  return { namespace, device }
})

const measureSending = (label: string, offload: Tap.Options["offload"]) =>
  Effect.gen(function*() {
    const { device } = yield* namespaceWithTap(offload)
    yield* send(device, 200)
    yield* measure(`send, ${label}`, "Written", send(device, milliseconds))
  })

const measureReceiving = (label: string, offload: Tap.Options["offload"]) =>
  Effect.gen(function*() {
    const { device, namespace } = yield* namespaceWithTap(offload)
    const devices = yield* Devices
    let touched = 0
    yield* devices.handle("ethernet", (_, packet) => {
      touched += packet.view.getUint16(packet.start + 12)
    })
    yield* namespace.spawn(process.execPath, script!, String(milliseconds / 1000 + 1), namespace.path)
    yield* BareStack.eventually(() => device.counters.receivedPackets.value > 1000)
    yield* measure(`receive, ${label}`, "Read", Effect.sleep(milliseconds))
    if (touched === 0) say("nothing was received")
  })

const generate = Effect.gen(function*() {
  const { device } = yield* PacketSocket.attach({ name: "tap0", namespace: namespaceOfGenerator })
  yield* send(device, milliseconds)
})

const run = <A, E>(program: Effect.Effect<A, E, Effect.Services<ReturnType<typeof measureSending>>>) =>
  Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(BareStack.layer)))

if (namespaceOfGenerator !== undefined) {
  await run(generate)
} else if (Namespace.obstacle !== undefined) {
  say(`cannot measure: ${Namespace.obstacle}`)
  process.exitCode = 1
} else {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [label, offload] of KINDS) await run(measureSending(label, offload))
    for (const [label, offload] of KINDS) await run(measureReceiving(label, offload))
  }
}
