/**
 * What connections cost a server, without a network: a whole stack, on a device whose other side is this program.
 *
 * `connect <api>`: a peer opens connections, 32 at a time, and closes them, as the server does then; `connect <api> after others` when 64 connections were kept
 * busy for a while before, which must not make V8 keep those that follow. `echo <api> <count>`: so many
 * connections, of which 64 at a time, in turns, send 64 octets, get them back, compare and acknowledge them. Segments are as Linux sends
 * them, with timestamps, and come in batches. The peer's part is in the figures, and is little: it writes a header over the last one.
 */
import { Devices, NetworkStack, NO_OFFLOAD, type Packet, Routing } from "@strata/core"
import { ChecksumState, make } from "@strata/core/device/Packet"
import { EtherType } from "@strata/core/wire/EthernetHeader"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as TcpOptions from "@strata/core/wire/TcpOptions"
import * as Effect from "effect/Effect"
import * as IpInterface from "effect/net/IpInterface"
import * as Result from "effect/Result"
import { Allocations } from "../support/allocations.ts"
import { apis } from "../support/apis.ts"
import type { Figure } from "../support/measurement.ts"
import { copy, equals } from "../support/pattern.ts"
import { main } from "../support/program.ts"

const DEVICE = "peer0"
const SERVER = 0x0a00_0001
/** The peer has addresses from here on, each of them with all its ports. */
const CLIENT = 0x0a01_0000
const ECHO = 7
/** Connections that are opened, or text that is sent, in one batch. */
const TOGETHER = 32
const ECHOING = 64
const SIZE = 64
/** Rounds of echoes that connections last before others come. */
const LASTING = 7
const FIRST_PORT = 1024
const PORTS = 60_000

const NETWORK = 20
const { ack, fin, psh, rst, syn } = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 }
const { get, set } = TcpHeader

/** MSS, SACK permitted, timestamps, padding, window scale: in the order of Linux. */
const SYN_OPTIONS = Uint8Array.of(2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7)
const OPTIONS = Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0)

/** Where in the pattern an octet of a connection is, by its place in the stream: each connection says something else. */
const placeOf = (index: number, octets: number): number => index * 8191 + octets

/** A header of IPv4 to the server. */
const writeNetwork = (view: DataView, source: number, length: number): void => {
  view.setUint32(0, 0x4500_0000 | length)
  view.setUint32(4, 0x0000_4000)
  view.setUint32(8, 0x4006_0000)
  view.setUint32(12, source)
  view.setUint32(16, SERVER)
  let sum = 0
  for (let at = 0; at < NETWORK; at += 2) sum += view.getUint16(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  view.setUint16(10, ~sum & 0xffff)
}

/** All connections of one peer, by number. */
class Peer {
  readonly octets = new Uint32Array(PORTS)
  readonly ended = new Uint8Array(PORTS)
  readonly opened = new Uint8Array(PORTS)
  /** Resets are expected only when the server goes. */
  finished = false
  input: (packet: Packet.Packet) => void = () => {}
  /** Milliseconds, in timestamps. */
  now = 1
  private readonly said = new Uint32Array(PORTS)
  private readonly sent = new Uint32Array(PORTS)
  private readonly heard = new Uint32Array(PORTS)
  private readonly stamps = new Uint32Array(PORTS)
  private readonly packet = make(0)
  private readonly parsed = new TcpOptions.ParsedOptions()

  /** A segment of the server's. */
  readonly hear = (packet: Packet.Packet): boolean => {
    const { length, start, view } = packet
    const at = start + NETWORK
    const flags = get.flags(view, at)
    const header = 4 * get.headerWords(view, at)
    const index = get.destinationPort(view, at) - FIRST_PORT
    if ((flags & rst) !== 0 && !this.finished) throw new Error("a connection was reset")
    TcpOptions.parse(view, at + TcpHeader.size, at + header, this.parsed)
    this.stamps[index] = this.parsed.timestamps?.value ?? 0
    const sequence = get.sequence(view, at)
    // What a busy machine made the server send again was heard already.
    if (this.opened[index] === 1 && sequence !== this.heard[index]) return true
    const text = length - NETWORK - header
    this.heard[index] = sequence + text + Number((flags & (syn | fin)) !== 0)
    if (text > 0) this.accept(index, packet, at + header)
    if ((flags & syn) !== 0) this.opened[index] = 1
    if ((flags & fin) !== 0) this.ended[index] = 1
    return true
  }

  say(index: number, flags: number, text = 0): void {
    const { packet } = this
    const isFirst = (flags & syn) !== 0
    if (isFirst) this.begin(index)
    const options = isFirst ? SYN_OPTIONS : OPTIONS
    const header = TcpHeader.size + options.length
    const { bytes, view } = packet
    writeNetwork(view, CLIENT, NETWORK + header + text)
    set.sourcePort(view, NETWORK, FIRST_PORT + index)
    set.destinationPort(view, NETWORK, ECHO)
    set.sequence(view, NETWORK, this.sent[index]!)
    set.acknowledgement(view, NETWORK, this.heard[index]!)
    view.setUint16(NETWORK + 12, (header << 10) | flags)
    set.window(view, NETWORK, isFirst ? 64_240 : 502)
    bytes.set(options, NETWORK + TcpHeader.size)
    const stamps = NETWORK + TcpHeader.size + (isFirst ? 8 : 4)
    view.setUint32(stamps, this.now)
    view.setUint32(stamps + 4, this.stamps[index]!)
    if (text > 0) copy(placeOf(index, this.said[index]!), bytes, NETWORK + header, text)
    this.said[index]! += text
    this.sent[index]! += text + Number((flags & (syn | fin)) !== 0)
    packet.point(0, NETWORK + header + text)
    packet.etherType = EtherType.ipv4
    packet.checksum = ChecksumState.valid
    this.input(packet)
  }

  /** Compares what came back with what was said. Text may lie beside the packet, as it was written. */
  private accept(index: number, packet: Packet.Packet, from: number): void {
    if (packet.end > from) this.compare(index, packet.bytes, from, packet.end)
    for (let number = 0; number < packet.pieceCount; number++) {
      const { bytes, end, start } = packet.pieces[number]!
      this.compare(index, bytes, start, end)
    }
  }

  private compare(index: number, bytes: Uint8Array, start: number, end: number): void {
    const at = this.octets[index]!
    if (!equals(placeOf(index, at), bytes, start, end)) throw new Error("a wrong answer")
    this.octets[index] = at + end - start
  }

  private begin(index: number): void {
    this.said[index] = 0
    this.heard[index] = 0
    this.stamps[index] = 0
    this.octets[index] = 0
    this.opened[index] = 0
    this.ended[index] = 0
  }
}

const attach = (peer: Peer) =>
  Effect.flatMap(Devices, (devices) =>
    devices.attach({
      name: DEVICE,
      type: "ethernet",
      framing: "none",
      flags: { loopback: false, broadcast: false, multicast: false, pointToPoint: true, needsArp: false },
      mtu: 1500,
      hardwareAddress: 0,
      offload: { ...NO_OFFLOAD, checksum: true },
      transmit: peer.hear,
      flush: () => {}
    }))

const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What is done again and again: `count` operations each time. */
type Round = { readonly count: number; readonly run: () => Promise<void> }
type Say = (indices: ReadonlyArray<number>, flags: number, text?: number) => Promise<void>

/** Waits until all of them are so far. */
const until = async (indices: ReadonlyArray<number>, ready: (index: number) => boolean): Promise<void> => {
  for (let turns = 0; !indices.every(ready); turns++) {
    if (turns === 1000) throw new Error("the server does not answer")
    await turnOfLoop()
  }
}

const opening = async (peer: Peer, say: Say, indices: ReadonlyArray<number>): Promise<void> => {
  await say(indices, syn)
  await until(indices, (index) => peer.opened[index] === 1)
  await say(indices, ack)
}

/** Opens and closes so many, in batches. */
const connecting = (peer: Peer, say: Say): Round => {
  let next = 0
  const batch = async (): Promise<void> => {
    const indices = Array.from({ length: TOGETHER }, () => next++ % PORTS)
    await opening(peer, say, indices)
    await say(indices, ack | fin)
    await until(indices, (index) => peer.ended[index] === 1)
    await say(indices, ack)
  }
  return {
    count: 100 * TOGETHER,
    run: async () => {
      for (let batches = 0; batches < 100; batches++) await batch()
    }
  }
}

const echoing = async (peer: Peer, say: Say, connections: number): Promise<Round> => {
  const all = Array.from({ length: connections }, (_, index) => index)
  for (let at = 0; at < connections; at += TOGETHER) await opening(peer, say, all.slice(at, at + TOGETHER))
  const asked = new Uint32Array(connections)
  const batches = Array.from(
    { length: Math.ceil(connections / ECHOING) },
    (_, batch) => all.slice(batch * ECHOING, (batch + 1) * ECHOING)
  )
  const again = Math.max(1, Math.ceil(5000 / connections))
  return {
    count: again * connections,
    run: async () => {
      for (let time = 0; time < again; time++) {
        for (const batch of batches) {
          for (const index of batch) asked[index]! += SIZE
          await say(batch, ack | psh, SIZE)
          await until(batch, (index) => peer.octets[index] === asked[index])
          // With very many, the next question comes too late to acknowledge this answer.
          await say(batch, ack)
        }
      }
    }
  }
}

/** Rounds whose allocations are counted: enough for some collections. */
const COUNTED = 5

/** Connections that last, long enough to outlive many collections, and close then: twice, as V8 does not believe it the first time. */
const lasting = async (peer: Peer, say: Say): Promise<void> => {
  const all = Array.from({ length: ECHOING }, (_, index) => index)
  for (let time = 0; time < 2; time++) {
    const { run } = await echoing(peer, say, ECHOING)
    for (let again = 0; again < LASTING; again++) await run()
    await say(all, ack | fin)
    await until(all, (index) => peer.ended[index] === 1)
    await say(all, ack)
  }
}

/** Nanoseconds of processor time of an operation, the best of all rounds within the time, and what one allocates. */
const costOf = async ({ count, run }: Round, seconds: number): Promise<Figure> => {
  const end = performance.now() + seconds * 1000
  const round = async (): Promise<number> => {
    const start = process.threadCpuUsage()
    await run()
    const { system, user } = process.threadCpuUsage(start)
    return (system + user) * 1000 / count
  }
  for (let warm = 0; warm < 3; warm++) await round()
  let best = Infinity
  do best = Math.min(best, await round())
  while (performance.now() < end)
  const allocations = new Allocations()
  for (let time = 0; time < COUNTED; time++) await run()
  const operations = COUNTED * count
  return { value: best, allocated: allocations.since() / operations, promoted: allocations.promoted / operations }
}

const address = Result.getOrThrow(IpInterface.ipv4FromString("10.0.0.1/8", { prefix: "required" }))

const measure =
  (api: string, makeRound: (peer: Peer, say: Say) => Round | Promise<Round>) => (seconds: number): Promise<Figure> =>
    Effect.gen(function*() {
      const peer = new Peer()
      const attachment = yield* attach(peer)
      peer.input = attachment.input
      yield* (yield* Routing).addAddress(DEVICE, address)
      yield* apis.find(({ name }) => name === api)!.serve
      const say: Say = (indices, flags, text) => {
        peer.now++
        attachment.batch(() => {
          for (const index of indices) peer.say(index, flags, text)
        })
        return turnOfLoop()
      }
      const figure = yield* Effect.promise(async () => costOf(await makeRound(peer, say), seconds))
      peer.finished = true
      return figure
    }).pipe(Effect.scoped, Effect.provide(NetworkStack.layer), Effect.runPromise)

const cases = apis.flatMap(({ name }) => [
  [`connect ${name}`, measure(name, connecting)] as const,
  [
    `connect ${name} after others`,
    measure(name, async (peer, say) => {
      await lasting(peer, say)
      return connecting(peer, say)
    })
  ] as const,
  ...[64, 1000, 10_000].map((count) =>
    [`echo ${name} ${count}`, measure(name, (peer, say) => echoing(peer, say, count))] as const
  )
])
await main(Object.fromEntries(cases))
