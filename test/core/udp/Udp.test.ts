import { assert, describe, it } from "@effect/vitest"
import { ChecksumState } from "@strata/core/device/Packet"
import type { DeliveryError } from "@strata/core/ip/Ipv4"
import { Statistics } from "@strata/core/Statistics"
import { Turn } from "@strata/core/time/Turn"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import { type Datagram, MAX_PAYLOAD, Udp, type UdpPort } from "@strata/core/udp/Udp"
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import { UdpHeader } from "@strata/core/wire/UdpHeader"
import { Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { NetAddress } from "effect/net"
import { checksumHolds, inet, ip, layer, Network, raw } from "../../support/fakeIpv4.ts"

const HOST = "192.0.2.2"
const OTHER_ADDRESS = "198.51.100.2"
const PEER = "192.0.2.1"
const DIRECTED_BROADCAST = "192.0.2.255"
const GROUP = "224.0.0.251"

const stack = Layer.fresh(Udp.layer).pipe(Layer.provideMerge(layer([HOST, OTHER_ADDRESS], [DIRECTED_BROADCAST])))
const test = (
  name: string,
  body: () => Effect.Effect<unknown, unknown, Udp | Network | Turn | Trace | Statistics | Scope.Scope>
) => it.effect(name, () => body().pipe(Effect.provide(stack)))

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (payload: Uint8Array) => new TextDecoder().decode(payload)
const texts = (datagrams: ReadonlyArray<Datagram>) => datagrams.map(({ payload }) => text(payload))

interface From {
  readonly from?: string
  readonly fromPort?: number
  readonly to?: string
}

/** A datagram with a checksum that holds. */
const datagram = (port: number, payload: Uint8Array, { from = PEER, fromPort = 40000, to = HOST }: From = {}) => {
  const length = UdpHeader.size + payload.length
  const octets = new Uint8Array(length)
  const view = new DataView(octets.buffer)
  UdpHeader.write(view, 0, { sourcePort: fromPort, destinationPort: port, length, checksum: 0 })
  octets.set(payload, UdpHeader.size)
  const sum = Checksum.add(Checksum.pseudoHeader(raw(from), raw(to), Protocol.udp, length), octets, 0, length)
  UdpHeader.set.checksum(view, 0, Checksum.finish(sum) || 0xffff)
  return octets
}

const arrive = (
  port: number,
  message: string | Uint8Array,
  options: From & { readonly kind?: "local" | "broadcast" | "multicast" } = {}
) =>
  Effect.map(Network, (network) => {
    const { from = PEER, kind = "local", to = HOST } = options
    const payload = typeof message === "string" ? bytes(message) : message
    network.receive(Protocol.udp, datagram(port, payload, options), { source: raw(from), destination: raw(to), kind })
  })

const arriveRaw = (octets: Uint8Array, checksum: number = ChecksumState.unverified) =>
  Effect.map(
    Network,
    (network) => network.receive(Protocol.udp, octets, { source: raw(PEER), destination: raw(HOST), checksum })
  )

const counted = (name: string) =>
  Effect.flatMap(Statistics, ({ snapshot }) => Effect.map(snapshot, (counters) => counters[name] ?? 0))

const bind = (options: Parameters<Udp["Service"]["bind"]>[0] = {}) => Effect.flatMap(Udp, (udp) => udp.bind(options))

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const waitingTake = (port: UdpPort) => Effect.forkChild(port.take, { startImmediately: true })

describe("Udp, binding", () => {
  test("gives distinct ephemeral ports, not one after another", () =>
    Effect.gen(function*() {
      const ports = yield* Effect.replicateEffect(Effect.map(bind(), ({ port }) => port), 200)
      assert.strictEqual(new Set(ports).size, 200)
      assert.isTrue(ports.every((port) => port >= 49152 && port <= 65535))
      const steps = ports.slice(1).filter((port, index) => port === ports[index]! + 1)
      assert.isBelow(steps.length, 20)
    }))

  test("says when no ephemeral port is left, and has one again when one is released", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Effect.replicateEffect(bind(), 16383)
      const last = yield* Scope.provide(bind(), scope)
      assert.strictEqual(yield* reasonOf(bind()), "PortsExhausted")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* bind()).port, last.port)
    }))

  test("an address and a port have one owner; all addresses conflict with each", () =>
    Effect.gen(function*() {
      yield* bind({ port: 7, address: ip(HOST) })
      yield* bind({ port: 7, address: ip(OTHER_ADDRESS) })
      assert.strictEqual(yield* reasonOf(bind({ port: 7, address: ip(HOST) })), "AddressInUse")
      assert.strictEqual(yield* reasonOf(bind({ port: 7 })), "AddressInUse")
      yield* bind({ port: 9 })
      const error = yield* Effect.flip(bind({ port: 9, address: ip(HOST) }))
      assert.strictEqual(error.message, `udp ${HOST}:9 is already in use; choose another port`)
    }))

  test("sockets that all share do not conflict", () =>
    Effect.gen(function*() {
      yield* bind({ port: 7, shared: true })
      yield* bind({ port: 7, shared: true, address: ip(HOST) })
      assert.strictEqual(yield* reasonOf(bind({ port: 7 })), "AddressInUse")
    }))

  test("refuses an address that the host does not have", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(bind({ address: ip(PEER) })), "AddressNotAvailable")
    }))

  test("refuses a number that is no port", () =>
    Effect.gen(function*() {
      for (const port of [65536, -1, 1.5, NaN]) assert.strictEqual(yield* reasonOf(bind({ port })), "InvalidAddress")
    }))

  test("a port is free again when its scope closes", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(bind({ port: 7 }))
      yield* bind({ port: 7 })
    }))

  test("tells about ports taken and released", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const told: Array<TraceDetail> = []
      trace.listen(({ detail }) => told.push(detail))
      yield* Effect.scoped(bind({ port: 7, address: ip(HOST) }))
      const port = { protocol: "udp", address: raw(HOST), port: 7 }
      assert.deepStrictEqual(told as Array<unknown>, [{ _tag: "PortBound", ...port }, {
        _tag: "PortReleased",
        ...port
      }])
    }))
})

describe("Udp, receiving", () => {
  test("delivers the payload with its addresses, and nothing of what follows the length field", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const octets = datagram(7, bytes("hello"))
      yield* arriveRaw(Uint8Array.of(...octets, 1, 2, 3))
      const [{ destination, payload, source }] = yield* port.take
      assert.strictEqual(text(payload), "hello")
      assert.strictEqual(NetAddress.formatInet(source), `${PEER}:40000`)
      assert.strictEqual(NetAddress.formatIp(destination), HOST)
    }))

  it.effect.prop(
    "takes any payload from any source port, port 0 included",
    { payload: Schema.Uint8Array, fromPort: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })) },
    ({ fromPort, payload }) =>
      Effect.gen(function*() {
        const port = yield* bind({ port: 7 })
        yield* arrive(7, payload, { fromPort })
        const [received] = yield* port.take
        assert.deepStrictEqual(received.payload, payload)
        assert.strictEqual(received.source.port, fromPort)
      }).pipe(Effect.provide(stack))
  )

  test("accepts a checksum of zero, which is none", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const octets = datagram(7, bytes("unsummed"))
      octets.fill(0, 6, 8)
      yield* arriveRaw(octets)
      assert.deepStrictEqual(texts(yield* port.take), ["unsummed"])
    }))

  test("drops what is damaged: checksum, length, header", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      const port = yield* bind({ port: 7 })
      const flipped = datagram(7, bytes("damaged"))
      flipped[10]! ^= 1
      yield* arriveRaw(flipped)
      const long = datagram(7, bytes("long"))
      long[5]! += 1
      yield* arriveRaw(long)
      const short = datagram(7, bytes("short"))
      short[5] = 7
      yield* arriveRaw(short)
      for (let length = 0; length < UdpHeader.size; length++) {
        yield* arriveRaw(datagram(7, bytes("")).subarray(0, length))
      }
      assert.strictEqual(yield* counted("udp.dropped.badChecksum"), 1)
      assert.strictEqual(yield* counted("udp.dropped.badLength"), 2)
      assert.strictEqual(yield* counted("udp.dropped.truncated"), 8)
      assert.strictEqual(yield* counted("udp.received"), 11)
      assert.deepStrictEqual(reported, [])
      yield* arrive(7, "whole")
      assert.deepStrictEqual(texts(yield* port.take), ["whole"])
    }))

  it.effect.prop(
    "never throws on arbitrary octets",
    { octets: Schema.Uint8Array },
    ({ octets }) =>
      Effect.gen(function*() {
        yield* bind({ port: 7 })
        yield* arriveRaw(octets)
        const { error } = yield* Udp
        error({ ...portUnreachable }, { length: octets.length, start: 0, view: new DataView(octets.buffer) } as never)
      }).pipe(Effect.provide(stack))
  )

  test("believes a checksum that somebody has vouched for", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      for (const state of [ChecksumState.valid, ChecksumState.partial]) {
        const octets = datagram(7, bytes("vouched"))
        octets[6]! ^= 0x55
        yield* arriveRaw(octets, state)
      }
      assert.strictEqual((yield* port.take).length, 2)
    }))

  test("a socket with one address does not get what is sent to another", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, address: ip(HOST) })
      yield* arrive(7, "other", { to: OTHER_ADDRESS })
      yield* arrive(7, "mine")
      assert.deepStrictEqual(texts(yield* port.take), ["mine"])
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 1)
    }))

  test("a connected socket hears its peer alone", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, remote: inet(`${PEER}:40000`) })
      yield* arrive(7, "stranger", { from: "192.0.2.9" })
      yield* arrive(7, "other port", { fromPort: 40001 })
      yield* arrive(7, "peer")
      assert.deepStrictEqual(texts(yield* port.take), ["peer"])
    }))

  test("of sockets that share a port the connected one is preferred, then the one with that address", () =>
    Effect.gen(function*() {
      const any = yield* bind({ port: 7, shared: true })
      const connected = yield* bind({ port: 7, shared: true, remote: inet(`${PEER}:40000`) })
      const exact = yield* bind({ port: 7, shared: true, address: ip(HOST) })
      yield* arrive(7, "to connected")
      yield* arrive(7, "to exact", { fromPort: 1 })
      yield* arrive(7, "to any", { fromPort: 1, to: OTHER_ADDRESS })
      assert.deepStrictEqual(texts(yield* connected.take), ["to connected"])
      assert.deepStrictEqual(texts(yield* exact.take), ["to exact"])
      assert.deepStrictEqual(texts(yield* any.take), ["to any"])
    }))

  test("a broadcast goes to every socket that has all addresses or that one, and to no other", () =>
    Effect.gen(function*() {
      const options = { port: 7, shared: true }
      const first = yield* bind(options)
      const second = yield* bind(options)
      const broadcast = yield* bind({ ...options, address: ip(DIRECTED_BROADCAST) })
      const unicast = yield* bind({ ...options, address: ip(HOST) })
      yield* arrive(7, "all", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      for (const port of [first, second, broadcast]) assert.deepStrictEqual(texts(yield* port.take), ["all"])
      yield* arrive(7, "one")
      assert.deepStrictEqual(texts(yield* unicast.take), ["one"])
    }))

  test("a socket can have a group's address, and then hears the group alone", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7, address: ip(GROUP) })
      yield* port.join(ip(GROUP))
      yield* arrive(7, "one")
      yield* arrive(7, "group", { to: GROUP, kind: "multicast" })
      assert.deepStrictEqual(texts(yield* port.take), ["group"])
      yield* port.send(bytes("answer"), inet(`${PEER}:7`))
      assert.strictEqual(sent[0]!.source, raw(HOST))
    }))

  test("each of several plain readers of a broadcast finds its payload", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const heard: Array<string> = []
      for (let reader = 0; reader < 2; reader++) {
        yield* udp.bindWith({ port: 7, shared: true }, (packet) => {
          heard.push(text(packet.toBytes()))
          packet.start = packet.end
          return true
        })
      }
      yield* arrive(7, "all", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      assert.deepStrictEqual(heard, ["all", "all"])
    }))

  test("reports port unreachable, with the whole datagram to quote", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      yield* arrive(9, "nobody")
      assert.deepStrictEqual(reported, [{ type: 3, code: 3, length: 20 + UdpHeader.size + 6 }])
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 1)
    }))

  test("reports nothing about what was sent to many", () =>
    Effect.gen(function*() {
      const { reported } = yield* Network
      yield* arrive(9, "nobody", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      yield* arrive(9, "nobody", { to: "224.0.0.1", kind: "multicast" })
      assert.strictEqual(yield* counted("udp.dropped.noListener"), 2)
      yield* bind({ port: 9 })
      yield* arrive(9, "no member", { to: "224.0.0.1", kind: "multicast" })
      assert.strictEqual(yield* counted("udp.dropped.notJoined"), 1)
      assert.deepStrictEqual(reported, [])
    }))

  test("keeps as many datagrams as its capacity, drops the newest and counts them", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, capacity: 3 })
      for (const message of ["a", "b", "c", "d", "e"]) yield* arrive(7, message)
      assert.deepStrictEqual(texts(yield* port.take), ["a", "b", "c"])
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
      yield* arrive(7, "f")
      assert.deepStrictEqual(texts(yield* port.take), ["f"])
    }))

  test("keeps no more once its buffer is full, but the largest datagram where it is empty", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, receiveBuffer: 10 })
      for (const message of ["123456789", "0123456789", "too much"]) yield* arrive(7, message)
      assert.deepStrictEqual(texts(yield* port.take), ["123456789", "0123456789"])
      assert.strictEqual(port.dropped(), 1)
      yield* arrive(7, new Uint8Array(MAX_PAYLOAD))
      assert.strictEqual((yield* port.take)[0].payload.length, MAX_PAYLOAD)
    }))

  test("plain code is called in place", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const heard: Array<unknown> = []
      yield* udp.bindWith({ port: 7 }, (packet, source, sourcePort, destination) => {
        heard.push([text(packet.toBytes()), source, sourcePort, destination])
        return true
      })
      yield* arrive(7, "plain")
      assert.deepStrictEqual(heard, [["plain", raw(PEER), 40000, raw(HOST)]])
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 0)
    }))

  test("counts what plain code has no room for, each datagram of several that came as one", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const port = yield* (yield* Udp).bindWith({ port: 7 }, (packet) => {
        if (heard.length === 2) return false
        heard.push(text(packet.toBytes()))
        return true
      })
      yield* arriveTogether(7, "abcdefg", 2)
      assert.deepStrictEqual(heard, ["ab", "cd"])
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
    }))
})

describe("Udp, a port that changes", () => {
  const none = undefined

  test("takes a peer and lets go of it: its address, whom it hears, and the address it had", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      assert.strictEqual(port.localAddress(), 0)
      assert.strictEqual(port.connectUnsafe(raw(PEER), 53), none)
      assert.strictEqual(port.localAddress(), raw(HOST))
      yield* arrive(7, "from a stranger")
      yield* arrive(7, "from the peer", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* port.take), ["from the peer"])
      assert.strictEqual(port.connectUnsafe(0, 0), none)
      assert.strictEqual(port.localAddress(), 0)
      yield* arrive(7, "from a stranger")
      assert.deepStrictEqual(texts(yield* port.take), ["from a stranger"])
    }))

  test("keeps its peer when it cannot have another", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, remote: inet(`${PEER}:53`) })
      assert.strictEqual(port.connectUnsafe(raw(DIRECTED_BROADCAST), 53)?._tag, "BroadcastNotPermitted")
      yield* arrive(7, "from the peer", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* port.take), ["from the peer"])
    }))

  test("sends differently from the next datagram on; what is not named stays", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const port = yield* bind({ port: 7 })
      const send = () => port.sendUnsafe(bytes("x"), raw(GROUP), 7)
      assert.strictEqual(port.configureUnsafe({ multicast: { timeToLive: 5, loopback: false } }), none)
      assert.strictEqual(port.configureUnsafe({ timeToLive: 9 }), none)
      assert.strictEqual(send(), none)
      const { looped, timeToLive } = network.sent.at(-1)!
      assert.deepStrictEqual([looped, timeToLive], [false, 5])
      assert.strictEqual(port.configureUnsafe({ timeToLive: 256 })?._tag, "InvalidAddress")
      const elsewhere = port.configureUnsafe({ multicast: { interface: ip(PEER) } })
      assert.strictEqual(elsewhere?._tag, "AddressNotAvailable")
      assert.strictEqual(port.sendUnsafe(bytes("x"), raw(DIRECTED_BROADCAST), 7)?._tag, "BroadcastNotPermitted")
      port.configureUnsafe({ broadcast: true })
      assert.strictEqual(port.sendUnsafe(bytes("x"), raw(DIRECTED_BROADCAST), 7), none)
    }))
})

/** As a device puts them together: one header in front, whose length spans all. */
const arriveTogether = (
  port: number,
  payload: string,
  segmentSize: number,
  kind: "local" | "broadcast" = "local"
) =>
  Effect.map(Network, (network) => {
    const to = kind === "local" ? HOST : DIRECTED_BROADCAST
    const octets = datagram(port, bytes(payload), { to })
    // What vouches for the checksums is the device; that of the whole need not be right.
    UdpHeader.set.checksum(new DataView(octets.buffer), 0, 0x1234)
    const checksum = ChecksumState.valid
    network.receive(Protocol.udp, octets, {
      source: raw(PEER),
      destination: raw(to),
      kind,
      checksum,
      segmentSize
    })
  })

describe("Udp, several datagrams in one packet", () => {
  test("are taken apart, the last one being shorter or not", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      for (const [payload, expected] of [["abcdefgh", "abc def gh"], ["abcdef", "abc def"]] as const) {
        yield* arriveTogether(7, payload, 3)
        const datagrams = yield* port.take
        assert.strictEqual(texts(datagrams).join(" "), expected)
        for (const { destination, source } of datagrams) {
          assert.strictEqual(`${source} ${destination}`, `${inet(`${PEER}:40000`)} ${ip(HOST)}`)
        }
      }
      assert.strictEqual(yield* counted("udp.received"), 5)
    }))

  test("may be a single one, with or without payload", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      yield* arriveTogether(7, "ab", 3)
      yield* arriveTogether(7, "abc", 3)
      yield* arriveTogether(7, "", 3)
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "abc", ""])
      assert.strictEqual(yield* counted("udp.received"), 3)
    }))

  test("go one by one to plain code, and all of them to each reader of a broadcast", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const seen: Array<string> = []
      const plain = yield* udp.bindWith({ port: 7, shared: true }, (packet) => {
        seen.push(text(packet.toBytes()))
        // It may do with the packet what it likes.
        packet.start = packet.end
        return true
      })
      const port = yield* bind({ port: 7, shared: true })
      yield* arriveTogether(7, "abcde", 2, "broadcast")
      assert.deepStrictEqual(seen, ["ab", "cd", "e"])
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "cd", "e"])
      assert.strictEqual(plain.port, port.port)
    }))

  test("are kept as far as there is room", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7, capacity: 2 })
      yield* arriveTogether(7, "abcdefgh", 2)
      assert.strictEqual(port.dropped(), 2)
      assert.strictEqual(yield* counted("udp.dropped.queueFull"), 2)
      assert.deepStrictEqual(texts(yield* port.take), ["ab", "cd"])
    }))

  test("are reported as unreachable by the first of them", () =>
    Effect.gen(function*() {
      const network = yield* Network
      yield* arriveTogether(7, "abcdefgh", 3)
      assert.deepStrictEqual(network.reported, [{ type: 3, code: 3, length: 20 + UdpHeader.size + 3 }])
    }))
})

describe("Udp, waiting", () => {
  test("a waiting reader is resumed once per turn, with all that arrived in it", () =>
    Effect.gen(function*() {
      const turn = yield* Turn
      const network = yield* Network
      const port = yield* bind({ port: 7 })
      const fiber = yield* waitingTake(port)
      turn.run(() => {
        for (const message of ["a", "b", "c"]) {
          const options = { source: raw(PEER), destination: raw(HOST) }
          network.receive(Protocol.udp, datagram(7, bytes(message)), options)
          assert.isUndefined(fiber.pollUnsafe())
        }
      })
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(texts(yield* Fiber.join(fiber)), ["a", "b", "c"])
    }))

  test("an answer leaves in the turn of its question", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.take.pipe(
        Effect.flatMap(([{ payload, source }]) => port.send(payload, source)),
        Effect.forkChild({ startImmediately: true })
      )
      yield* arrive(7, "ping")
      assert.strictEqual(sent.length, 1)
    }))

  test("an interrupted reader takes nothing with it", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const first = yield* waitingTake(port)
      const second = yield* waitingTake(port)
      yield* Fiber.interrupt(first)
      yield* arrive(7, "kept")
      assert.deepStrictEqual(texts(yield* Fiber.join(second)), ["kept"])
    }))

  test("of two readers the first one gets the first batch", () =>
    Effect.gen(function*() {
      const port = yield* bind({ port: 7 })
      const first = yield* waitingTake(port)
      const second = yield* waitingTake(port)
      yield* arrive(7, "a")
      assert.isUndefined(second.pollUnsafe())
      yield* arrive(7, "b")
      assert.deepStrictEqual(texts(yield* Fiber.join(first)), ["a"])
      assert.deepStrictEqual(texts(yield* Fiber.join(second)), ["b"])
    }))

  test("closing ends every reader and refuses what comes later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const port = yield* Scope.provide(bind({ port: 7 }), scope)
      const fibers = [yield* waitingTake(port), yield* waitingTake(port)]
      yield* Scope.close(scope, Exit.void)
      for (const fiber of fibers) assert.strictEqual(yield* reasonOf(Fiber.join(fiber)), "SocketClosed")
      assert.strictEqual(yield* reasonOf(port.take), "SocketClosed")
      assert.strictEqual(yield* reasonOf(port.send(bytes("late"), inet(`${PEER}:7`))), "SocketClosed")
      assert.strictEqual(port.sendUnsafe(bytes("late"), raw(PEER), 7)?._tag, "SocketClosed")
    }))

  it.effect("the end of the layer ends the sockets of other scopes and releases the protocol", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(stack, scope)
      const provided = Effect.provide(context)
      const network = yield* provided(Network)
      const port = yield* provided(bind({ port: 7 }))
      const fiber = yield* waitingTake(port)
      assert.isTrue(network.handles(Protocol.udp))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(network.handles(Protocol.udp))
      assert.strictEqual(yield* reasonOf(Fiber.join(fiber)), "SocketClosed")
    }))
})

describe("Udp, sending", () => {
  it.effect.prop(
    "sends headers and checksums that hold",
    { payload: Schema.Uint8Array },
    ({ payload }) =>
      Effect.gen(function*() {
        const { sent } = yield* Network
        const port = yield* bind()
        yield* port.send(payload, inet(`${PEER}:53`))
        const [packet] = sent
        assert.isTrue(checksumHolds(packet!))
        assert.strictEqual(packet!.source, raw(HOST))
        assert.strictEqual(packet!.destination, raw(PEER))
        assert.deepStrictEqual(packet!.bytes.subarray(UdpHeader.size), payload)
        const head = yield* Schema.decodeEffect(UdpHeader.schema)(packet!.bytes)
        const expected = { sourcePort: port.port, destinationPort: 53, length: UdpHeader.size + payload.length }
        assert.deepInclude(head, expected)
      }).pipe(Effect.provide(stack))
  )

  test("a checksum that comes out as zero is sent as all ones", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.send(Uint8Array.of(0, 0), inet(`${PEER}:53`))
      const sum = new DataView(sent[0]!.bytes.buffer).getUint16(6)
      yield* port.send(Uint8Array.of(sum >>> 8, sum), inet(`${PEER}:53`))
      assert.strictEqual(new DataView(sent[1]!.bytes.buffer).getUint16(6), 0xffff)
    }))

  test("carries 65,507 octets and not one more", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* port.send(new Uint8Array(MAX_PAYLOAD).fill(0xa5))
      assert.strictEqual(sent[0]!.bytes.length, MAX_PAYLOAD + UdpHeader.size)
      assert.isTrue(checksumHolds(sent[0]!))
      assert.strictEqual(yield* reasonOf(port.send(new Uint8Array(MAX_PAYLOAD + 1))), "MessageTooLarge")
      assert.strictEqual(sent.length, 1)
    }))

  test("goes to the connected peer by default, or elsewhere when told", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      assert.strictEqual(NetAddress.formatIp(port.address), HOST)
      yield* port.send(bytes("default"))
      yield* port.send(bytes("elsewhere"), inet("192.0.2.9:54"))
      assert.deepStrictEqual(sent.map(({ destination }) => destination), [raw(PEER), raw("192.0.2.9")])
    }))

  test("needs a destination", () =>
    Effect.gen(function*() {
      const port = yield* bind()
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"))), "NoDestination")
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"), inet(`${PEER}:0`))), "NoDestination")
      assert.strictEqual(yield* reasonOf(port.send(bytes("whither"), inet("0.0.0.0:7"))), "NoDestination")
    }))

  test("needs permission for broadcasts, limited and directed", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const destinations = [inet("255.255.255.255:7"), inet(`${DIRECTED_BROADCAST}:7`)]
      const port = yield* bind()
      const permitted = yield* bind({ broadcast: true })
      for (const destination of destinations) {
        assert.strictEqual(yield* reasonOf(port.send(bytes("all"), destination)), "BroadcastNotPermitted")
        assert.strictEqual(yield* reasonOf(bind({ remote: destination })), "BroadcastNotPermitted")
        yield* permitted.send(bytes("all"), destination)
      }
      assert.strictEqual(sent.length, 2)
    }))

  test("says when there is no route", () =>
    Effect.gen(function*() {
      const port = yield* bind()
      const error = yield* Effect.flip(port.send(bytes("lost"), inet("203.0.113.1:7")))
      assert.strictEqual(error.message, "203.0.113.1:7 is unreachable: noRoute")
      assert.strictEqual(yield* reasonOf(bind({ remote: inet("203.0.113.1:7") })), "Unreachable")
    }))

  test("says what IPv4 said", () =>
    Effect.gen(function*() {
      const network = yield* Network
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      for (
        const [result, reason] of [["dropped", "NotSent"], ["tooBig", "MessageTooLarge"], [
          "unreachable",
          "Unreachable"
        ]] as const
      ) {
        network.result = result
        assert.strictEqual(yield* reasonOf(port.send(bytes("x"))), reason)
      }
      assert.strictEqual(yield* counted("udp.sent"), 0)
    }))

  test("an answer leaves from the address that was asked", () =>
    Effect.gen(function*() {
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      yield* port.join(ip(GROUP))
      yield* arrive(7, "question", { to: OTHER_ADDRESS })
      yield* arrive(7, "broadcast question", { to: DIRECTED_BROADCAST, kind: "broadcast" })
      yield* arrive(7, "multicast question", { to: GROUP, kind: "multicast" })
      for (const { destination, payload, source } of yield* port.take) {
        yield* port.send(payload, source, { source: destination })
      }
      assert.deepStrictEqual(sent.map(({ source }) => source), [raw(OTHER_ADDRESS), raw(HOST), raw(HOST)])
      assert.isTrue(sent.every(checksumHolds))
    }))

  test("does not send from an address that is not its own", () =>
    Effect.gen(function*() {
      const any = yield* bind()
      const one = yield* bind({ address: ip(HOST) })
      const destination = inet(`${PEER}:7`)
      assert.strictEqual(
        yield* reasonOf(any.send(bytes("x"), destination, { source: ip(PEER) })),
        "AddressNotAvailable"
      )
      assert.strictEqual(
        yield* reasonOf(one.send(bytes("x"), destination, { source: ip(OTHER_ADDRESS) })),
        "AddressNotAvailable"
      )
      yield* one.send(bytes("x"), destination, { source: ip(HOST) })
    }))

  test("tells what goes by, with the checksum that is sent", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const { sent } = yield* Network
      const port = yield* bind({ port: 7 })
      const told: Array<TraceDetail> = []
      trace.listen(({ detail }) => told.push(detail))
      yield* port.send(bytes("out"), inet(`${PEER}:53`))
      yield* arrive(7, "in")
      const [out, incoming] = told as Array<Extract<TraceDetail, { readonly _tag: "Packet" }>>
      assert.deepStrictEqual([out!.direction, out!.bytes], ["out", sent[0]!.bytes])
      assert.deepStrictEqual([incoming!.direction, incoming!.bytes], ["in", datagram(7, bytes("in"))])
      assert.deepStrictEqual(incoming!.network, { source: raw(PEER), destination: raw(HOST) })
    }))
})

const portUnreachable: DeliveryError = {
  kind: "portUnreachable",
  mtu: 0,
  reporter: raw(PEER),
  source: raw(HOST),
  destination: raw(PEER)
}

/** What ICMP quotes of a datagram from our `port` to port 53: its first eight octets. */
const quoted = (port: number) => datagram(53, bytes(""), { from: HOST, fromPort: port, to: PEER })

const report = (error: Partial<DeliveryError>, port: number) =>
  Effect.map(Network, (network) => network.reportError(Protocol.udp, { ...portUnreachable, ...error }, quoted(port)))

describe("Udp, errors from the network", () => {
  test("a connected socket is told once", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* report({}, port.port)
      const error = yield* Effect.flip(port.take)
      assert.strictEqual(error.message, `nothing listens on udp ${PEER}:53`)
      const fiber = yield* waitingTake(port)
      yield* Effect.yieldNow
      assert.isUndefined(fiber.pollUnsafe())
      yield* arrive(port.port, "still alive", { fromPort: 53 })
      assert.deepStrictEqual(texts(yield* Fiber.join(fiber)), ["still alive"])
    }))

  test("a waiting reader is told at once", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      const fiber = yield* waitingTake(port)
      yield* report({ kind: "hostUnreachable" }, port.port)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.message, `${PEER}:53 is unreachable: hostUnreachable`)
    }))

  test("what arrived before the error is read before it", () =>
    Effect.gen(function*() {
      const port = yield* bind({ remote: inet(`${PEER}:53`) })
      yield* arrive(port.port, "before", { fromPort: 53 })
      yield* report({}, port.port)
      assert.deepStrictEqual(texts(yield* port.take), ["before"])
      assert.strictEqual(yield* reasonOf(port.take), "Refused")
    }))

  test("plain code is told at once", () =>
    Effect.gen(function*() {
      const udp = yield* Udp
      const told: Array<string> = []
      const remote = inet(`${PEER}:53`)
      const port = yield* udp.bindWith({ remote }, () => true, ({ reason }) => told.push(reason._tag))
      yield* report({}, port.port)
      assert.deepStrictEqual(told, ["Refused"])
    }))

  test("an unconnected socket, another peer, another port and a source quench are not told", () =>
    Effect.gen(function*() {
      const connected = yield* bind({ port: 6, remote: inet(`${PEER}:53`) })
      const unconnected = yield* bind({ port: 7 })
      yield* report({}, 7)
      yield* report({}, 8)
      yield* report({ destination: raw("192.0.2.9") }, 6)
      yield* report({ source: raw(OTHER_ADDRESS) }, 6)
      yield* report({ kind: "sourceQuench" }, 6)
      for (const port of [connected, unconnected]) {
        const fiber = yield* waitingTake(port)
        yield* Effect.yieldNow
        assert.isUndefined(fiber.pollUnsafe())
      }
    }))
})
