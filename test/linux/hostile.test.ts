/**
 * Frames that no honest peer sends, put on the wire by the kernel's side: the stack drops them, counts them, and goes on.
 */
import { expect, layer } from "@effect/vitest"
import { Devices, NetworkStack, Statistics, Tcp, Udp } from "@strata/core"
import * as PacketBuffer from "@strata/core/device/Packet"
import { PacketSocket } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomBytes } from "node:crypto"
import { describeOffloads, hostWith, Kernel, STACK, tcpPeer, tcpReports } from "../support/linux.ts"
import {
  BROADCAST,
  echoRequest,
  EtherType,
  frame,
  ipv4Packet,
  Protocol,
  STACK_MAC,
  tcp,
  TcpFlag,
  udp
} from "../support/Probe.ts"
import { digest, readAll } from "../support/transfer.ts"

/** Puts frames on the wire from the kernel's end of the TAP. */
const injector = Effect.gen(function*() {
  const kernel = yield* Kernel
  const other = yield* Layer.build(
    PacketSocket.layer({ name: "tap0", namespace: kernel.path }).pipe(
      Layer.provideMerge(Layer.fresh(NetworkStack.layer))
    )
  )
  const devices = Context.get(other, Devices)
  const device = yield* devices.get("tap0")
  return Effect.fnUntraced(function*(frames: Iterable<Uint8Array>) {
    let sent = 0
    for (const bytes of frames) {
      const packet = PacketBuffer.make(bytes.length)
      packet.append(bytes)
      devices.transmit(device, packet)
      // The queue between them is finite.
      if (++sent % 64 === 0) yield* Effect.sleep(1)
    }
    yield* Effect.sleep(50)
  })
})

const received = Effect.map(
  Effect.flatMap(Statistics, (statistics) => statistics.snapshot),
  (counters) => counters["device.tap0.receivedPackets"] ?? 0
)

const drops = Effect.map(
  Effect.flatMap(Statistics, (statistics) => statistics.snapshot),
  (counters) =>
    Object.entries(counters).reduce((sum, [name, count]) => name.includes(".dropped.") ? sum + count : sum, 0)
)

/** The stack still answers ping and still serves TCP, without a byte lost. */
const healthy = Effect.gen(function*() {
  const kernel = yield* Kernel
  const { stdout } = yield* kernel.succeed("ping", "-c", "3", "-i", "0.05", "-w", "10", STACK)
  expect(stdout).toContain("3 received, 0% packet loss")
  yield* Effect.scoped(Effect.gen(function*() {
    const listener = yield* (yield* Tcp).listen({ port: 80 })
    const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 80 }, send: 100_000 })
    const connection = yield* listener.accept
    const text = yield* readAll(connection)
    yield* connection.closeWrite
    expect(yield* tcpReports(peer)).toMatchObject([{ sent: 100_000, sentHash: digest(text) }])
  }))
})

const samples: ReadonlyArray<Uint8Array> = [
  frame(EtherType.ipv4, ipv4Packet(Protocol.icmp, echoRequest(randomBytes(40)))),
  udp({ from: 50_000, to: 7, payload: randomBytes(40) }),
  tcp({ from: 50_000, to: 80, seq: 1, flags: TcpFlag.syn }),
  tcp({ from: 50_000, to: 80, seq: 1, flags: TcpFlag.ack, text: randomBytes(40) })
]

const NO_RESETS = `
table ip quiet {
  chain output {
    type filter hook output priority 0
    tcp flags & rst == rst drop
  }
}
`

/** The same frame cut after each octet of its headers and payload. */
const truncated = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: bytes.length - 14 }, (_, cut) => bytes.slice(0, 14 + cut))

/** The same frame with one octet changed to something random, for each octet behind the Ethernet header. */
const damaged = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: bytes.length - 14 }, (_, index) => {
    const copy = bytes.slice()
    copy[14 + index]! ^= 1 + randomBytes(1)[0]! % 255
    return copy
  })

const size = (): number => randomBytes(2).readUInt16LE() % 1400
const random = (count: number, make: () => Uint8Array): ReadonlyArray<Uint8Array> => Array.from({ length: count }, make)

/** A piece of a datagram; `offset` in units of eight octets. */
const fragment = (identification: number, offset: number, more: boolean, length: number): Uint8Array =>
  frame(
    EtherType.ipv4,
    ipv4Packet(Protocol.udp, randomBytes(length), (view) => {
      view.setUint16(4, identification)
      view.setUint16(6, (more ? 0x2000 : 0) | offset)
    })
  )

describeOffloads("Linux, hostile frames", ["ping", "nft"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("truncated and damaged frames", () =>
      Effect.gen(function*() {
        const inject = yield* injector
        yield* (yield* Udp).bind({ port: 7 })
        const before = yield* drops
        yield* inject(samples.flatMap(truncated))
        yield* inject(samples.flatMap(damaged))
        expect((yield* drops) - before).toBeGreaterThan(samples.length * 20)
        yield* healthy
      }))

    it.effect("random octets, alone and behind each header", () =>
      Effect.gen(function*() {
        const inject = yield* injector
        const before = yield* received
        yield* inject(
          random(1000, () => new Uint8Array(Buffer.concat([samples[0]!.subarray(0, 12), randomBytes(size())])))
        )
        yield* inject(random(1000, () => frame(EtherType.ipv4, randomBytes(size()))))
        yield* inject(random(1000, () => frame(EtherType.arp, randomBytes(size() % 60), BROADCAST)))
        for (const protocol of [Protocol.icmp, Protocol.udp, Protocol.tcp]) {
          yield* inject(random(1000, () => frame(EtherType.ipv4, ipv4Packet(protocol, randomBytes(size())))))
        }
        expect((yield* received) - before).toBeGreaterThan(5000)
        yield* healthy
      }))

    it.effect("fragments that never become whole, overlap, or reach past the end", () =>
      Effect.gen(function*() {
        const inject = yield* injector
        yield* inject(Array.from({ length: 3000 }, (_, index) => fragment(index, 0, true, 1400)))
        yield* inject(Array.from({ length: 100 }, (_, index) => fragment(1, index, true, 160)))
        yield* inject([fragment(2, 0x1fff, false, 1400), fragment(3, 0x1fff, true, 8), fragment(4, 10, true, 7)])
        yield* healthy
        const kernel = yield* Kernel
        const large = yield* kernel.succeed("ping", "-c", "2", "-i", "0.05", "-w", "10", "-s", "60000", STACK)
        expect(large.stdout).toContain("2 received, 0% packet loss")
      }))

    it.effect("a flood of SYNs that are never followed up leaves room for honest ones", () =>
      Effect.gen(function*() {
        const inject = yield* injector
        const kernel = yield* Kernel
        // Left alone, the kernel would reset what it knows nothing of.
        const { exitCode, stderr } = yield* kernel.execWith({ input: NO_RESETS }, "nft", "-f", "-")
        expect([exitCode, stderr]).toEqual([0, ""])
        const listener = yield* (yield* Tcp).listen({ port: 81 })
        yield* inject(Array.from({ length: 5000 }, (_, index) => {
          const syn = tcp({ from: 1024 + index, to: 81, seq: index * 1000, flags: TcpFlag.syn })
          expect(syn.length).toBe(54)
          return syn
        }))
        const status = yield* (yield* Tcp).status
        const halfOpen = status.filter((connection) => connection.state === "SYN-RECEIVED")
        expect(halfOpen.length).toBeGreaterThan(0)
        expect(halfOpen.length).toBeLessThanOrEqual(128)

        // The SYN queue is full: the kernel gets a cookie, and brings it back.
        const before = (yield* (yield* Statistics).snapshot)["tcp.synCookiesReceived"] ?? 0
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 81 }, send: 300_000 })
        const connection = yield* listener.accept
        expect(connection.controlBlock().options).toMatchObject({ windowScale: true, sack: true, timestamps: true })
        const text = yield* readAll(connection)
        yield* connection.closeWrite
        expect(yield* tcpReports(peer)).toMatchObject([{ sent: 300_000, sentHash: digest(text) }])
        const counters = yield* (yield* Statistics).snapshot
        expect(counters["tcp.synCookiesSent"]).toBeGreaterThan(4000)
        expect((counters["tcp.synCookiesReceived"] ?? 0) - before).toBe(1)
        yield* kernel.succeed("nft", "delete", "table", "ip", "quiet")
        yield* healthy
      }))

    it.effect("frames for somebody else are not answered", () =>
      Effect.gen(function*() {
        const inject = yield* injector
        const before = yield* received
        const request = ipv4Packet(Protocol.icmp, echoRequest(randomBytes(8)))
        yield* inject(Array.from({ length: 50 }, () => frame(EtherType.ipv4, request, STACK_MAC + 1)))
        expect((yield* received) - before).toBeGreaterThanOrEqual(50)
        const counters = yield* (yield* Statistics).snapshot
        expect(Object.keys(counters).filter((name) => name.startsWith("ethernet.dropped."))).not.toEqual([])
        yield* healthy
      }))
  })
})
