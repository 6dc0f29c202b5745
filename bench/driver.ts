/**
 * How many frames of 1514 octets a second the native drivers move, without a stack above them.
 *
 *     node bench/driver.ts [seconds]
 *
 * In a network namespace of its own, over a plain TAP: sending to a kernel that throws the frames away, and receiving from
 * a second process that puts frames on the interface as fast as it can through a packet socket. Two cores are needed.
 */
import { type AttachedDevice, Devices } from "@strata/core/device/Devices"
import * as Packet from "@strata/core/device/Packet"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { PacketSocket, Tap } from "@strata/drivers"
import { Effect } from "effect"
import * as BareStack from "../test/support/bareStack.ts"
import * as Namespace from "../test/support/namespace.ts"

const FRAME = 1514
const ROUNDS = 3
/** Frames that one turn of the stack sends. */
const PER_TURN = 64

const [, script, argument = "3", namespaceOfGenerator] = process.argv
const milliseconds = Number(argument) * 1000

const say = (line: string) => process.stdout.write(`${line}\n`)

const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** To a station that is not there, of an EtherType that nobody handles. */
const frame = () => {
  const packet = Packet.make(FRAME)
  packet.append(new Uint8Array(FRAME))
  packet.view.setUint32(packet.start, 0x0200_0000)
  packet.view.setUint16(packet.start + 4, 0x0099)
  packet.view.setUint16(packet.start + 12, 0x88b5)
  return packet
}

/** Sends for that long and returns how many frames the kernel took. */
const send = Effect.fnUntraced(function*(device: AttachedDevice, duration: number) {
  const devices = yield* Devices
  const turn = yield* Turn
  const packet = frame()
  const before = device.counters.transmittedPackets.value
  const work = () => {
    for (let sent = 0; sent < PER_TURN; sent++) devices.transmit(device, packet)
  }
  const end = performance.now() + duration
  while (performance.now() < end) {
    for (let turns = 0; turns < 100; turns++) turn.run(work)
    yield* nextTurn
  }
  return device.counters.transmittedPackets.value - before
})

const rate = (frames: number, duration: number) => {
  const perSecond = frames / duration * 1000
  return `${(perSecond / 1e6).toFixed(2)} Mframe/s, ${(perSecond * FRAME * 8 / 1e9).toFixed(1)} Gbit/s`
}

const measureSending = Effect.gen(function*() {
  const namespace = yield* Namespace.make
  const { device } = yield* Tap.attach({ namespace: namespace.path })
  yield* namespace.succeed("ip", "link", "set", "tap0", "up")
  yield* send(device, 500)
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    const frames = yield* send(device, milliseconds)
    say(`TAP send     ${rate(frames, performance.now() - start)}`)
  }
})

const measureReceiving = Effect.gen(function*() {
  const namespace = yield* Namespace.make
  const devices = yield* Devices
  const { device } = yield* Tap.attach({ namespace: namespace.path })
  yield* namespace.succeed("ip", "link", "set", "tap0", "up", "txqueuelen", "1000")
  let touched = 0
  yield* devices.handle("ethernet", (_, packet) => {
    touched += packet.view.getUint16(packet.start + 12)
  })
  const seconds = (milliseconds * ROUNDS) / 1000 + 2
  yield* namespace.spawn(process.execPath, script!, String(seconds), namespace.path)
  yield* BareStack.eventually(() => device.counters.receivedPackets.value > 10_000)
  for (let round = 0; round < ROUNDS; round++) {
    const before = device.counters.receivedPackets.value
    const start = performance.now()
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, milliseconds)))
    const frames = device.counters.receivedPackets.value - before
    say(`TAP receive  ${rate(frames, performance.now() - start)}`)
  }
  if (touched === 0) say("nothing was received")
})

const generate = Effect.gen(function*() {
  const { device } = yield* PacketSocket.attach({ name: "tap0", namespace: namespaceOfGenerator })
  yield* send(device, milliseconds)
})

const dropped = Effect.flatMap(Statistics, ({ snapshot }) => snapshot)

const run = <A, E>(program: Effect.Effect<A, E, Effect.Services<typeof measureSending>>) =>
  Effect.runPromise(Effect.scoped(program).pipe(Effect.andThen(dropped), Effect.provide(BareStack.layer)))

if (namespaceOfGenerator !== undefined) {
  await run(generate)
} else if (Namespace.obstacle !== undefined) {
  say(`cannot measure: ${Namespace.obstacle}`)
  process.exitCode = 1
} else {
  await run(measureSending)
  await run(measureReceiving)
}
