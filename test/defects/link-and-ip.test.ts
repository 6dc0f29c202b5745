/**
 * What microps does wrong below the transports, and this stack must not. The numbers are those of the list of its
 * known defects.
 */
import { describe, expect, it } from "@effect/vitest"
import { Icmp, NetworkStack, Statistics, Tcp, Udp } from "@strata/core"
import * as Address from "@strata/core/wire/Address"
import { ARP_HARDWARE_ETHERNET, ArpHeader, ArpOperation } from "@strata/core/wire/ArpHeader"
import { Ipv4Header } from "@strata/core/wire/Ipv4Header"
import { Loopback } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import {
  echoRequest,
  EtherType,
  frame,
  inet,
  ipv4,
  ipv4Packet,
  PEER,
  PEER_MAC,
  Probe,
  Protocol,
  STACK,
  STACK_MAC,
  udp
} from "../support/Probe.ts"

const stackWith = (options?: Parameters<typeof Probe.layer>[0]) =>
  Probe.layer(options).pipe(Layer.provideMerge(NetworkStack.layer))
const stack = stackWith()
const bytes = new TextEncoder().encode("hello")

/** The peer's answer to "who has 192.0.2.1?". */
const arpReply = (): Uint8Array => {
  const body = new Uint8Array(ArpHeader.size)
  const view = new DataView(body.buffer)
  ArpHeader.set.hardwareType(view, 0, ARP_HARDWARE_ETHERNET)
  ArpHeader.set.protocolType(view, 0, EtherType.ipv4)
  ArpHeader.set.hardwareLength(view, 0, 6)
  ArpHeader.set.protocolLength(view, 0, 4)
  ArpHeader.set.operation(view, 0, ArpOperation.reply)
  ArpHeader.set.senderHardware(view, 0, PEER_MAC)
  ArpHeader.set.senderProtocol(view, 0, Address.fromIpv4(ipv4(PEER)))
  ArpHeader.set.targetHardware(view, 0, STACK_MAC)
  ArpHeader.set.targetProtocol(view, 0, Address.fromIpv4(ipv4(STACK)))
  return frame(EtherType.arp, body)
}

describe("defects of microps: link, IPv4 and ICMP", () => {
  it.effect("10: packets that wait for ARP are sent when the answer comes", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const port = yield* (yield* Udp).bind({ port: 7 })
      yield* port.send(Uint8Array.of(1), inet(PEER, 9))
      yield* port.send(Uint8Array.of(2), inet(PEER, 9))
      expect(probe.takeArp()).toHaveLength(1)
      expect(probe.takeUdp()).toEqual([])
      probe.send(arpReply())
      expect(probe.takeUdp().map((sent) => [...sent.payload])).toEqual([[1], [2]])
    }).pipe(Effect.provide(stackWith({ resolved: false }))))

  it.effect("10: the sender is told when no answer comes", () =>
    Effect.gen(function*() {
      const port = yield* (yield* Udp).bind({ remote: inet(PEER, 9) })
      yield* port.send(bytes)
      const waiting = yield* Effect.forkChild(Effect.flip(port.take))
      const connecting = yield* Effect.forkChild(Effect.flip(Effect.scoped(
        (yield* Tcp).connect({ remote: inet(PEER, 80) })
      )))
      yield* TestClock.adjust("10 seconds")
      expect((yield* Fiber.join(waiting)).reason).toMatchObject({ _tag: "Unreachable", kind: "hostUnreachable" })
      yield* TestClock.adjust("5 minutes")
      expect((yield* Fiber.join(connecting)).reason._tag).toMatch(/Unreachable|TimedOut/)
    }).pipe(Effect.provide(stackWith({ resolved: false }))))

  it.effect("11: a datagram to a port nobody has is answered with port unreachable", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const offending = udp({ from: 50_000, to: 7, payload: bytes })
      probe.send(offending)
      const [error, ...more] = probe.takeIcmp()
      expect(error).toMatchObject({ type: 3, code: 3 })
      // Four unused octets, then the offending header and at least eight octets of what follows (RFC 792).
      expect(error!.rest.subarray(4, 4 + 28)).toEqual(offending.subarray(14, 14 + 28))
      expect(more).toEqual([])
    }).pipe(Effect.provide(stack)))

  it.effect("11: a packet of a protocol nobody handles is answered with protocol unreachable", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      probe.send(frame(EtherType.ipv4, ipv4Packet(200, octets(32))))
      expect(probe.takeIcmp()).toMatchObject([{ type: 3, code: 2 }])
    }).pipe(Effect.provide(stack)))

  it.effect.each([0, 1, 2, 3, 4])("12: a header of %i words is dropped", (words) =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const statistics = yield* Statistics
      const request = echoRequest(bytes)
      probe.send(frame(EtherType.ipv4, ipv4Packet(Protocol.icmp, request)))
      expect(probe.takeIcmp()).toMatchObject([{ type: 0 }])
      const dropsBefore = drops(yield* statistics.snapshot)
      probe.send(frame(
        EtherType.ipv4,
        ipv4Packet(Protocol.icmp, request, (view) => Ipv4Header.set.headerWords(view, 0, words))
      ))
      expect(probe.takeIcmp()).toEqual([])
      expect(drops(yield* statistics.snapshot)).toBe(dropsBefore + 1)
    }).pipe(Effect.provide(stack)))

  it.effect("13: the host reaches its own Ethernet address", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const reply = yield* (yield* Icmp).ping(ipv4(STACK))
      expect(reply.address).toEqual(ipv4(STACK))

      const server = yield* (yield* Udp).bind({ port: 7 })
      const client = yield* (yield* Udp).bind()
      yield* client.send(bytes, inet(STACK, 7))
      expect(yield* server.take).toMatchObject([{ payload: bytes, source: inet(STACK, client.port) }])

      const listener = yield* (yield* Tcp).listen({ port: 7 })
      const connection = yield* (yield* Tcp).connect({ remote: inet(STACK, 7) })
      const accepted = yield* listener.accept
      expect(accepted.remote).toEqual(connection.local)
      yield* connection.write(bytes)
      expect(yield* accepted.read).toEqual([bytes])
      expect([...probe.takeArp(), ...probe.takeIcmp(), ...probe.takeUdp(), ...probe.takeTcp()]).toEqual([])
    }).pipe(Effect.provide(
      Layer.mergeAll(Loopback.layer, Probe.layer()).pipe(Layer.provideMerge(NetworkStack.layer))
    )))
})

const octets = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index)

const drops = (counters: Readonly<Record<string, number>>): number =>
  Object.entries(counters).reduce((sum, [name, count]) => name.startsWith("ipv4.dropped.") ? sum + count : sum, 0)
