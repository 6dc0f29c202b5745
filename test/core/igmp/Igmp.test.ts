/**
 * IGMP in a stack with a neighbour on the wire: how messages look, what is believed, and when a link is entered and left.
 */
import { assert, describe, it } from "@effect/vitest"
import { Devices, Igmp, Multicast, NetworkStack, Routing, Udp } from "@strata/core"
import { EVERYTHING, include } from "@strata/core/ip/SourceFilter"
import { multicastAddress } from "@strata/core/link/Ethernet"
import * as Checksum from "@strata/core/wire/Checksum"
import * as IgmpMessage from "@strata/core/wire/IgmpMessage"
import { Loopback } from "@strata/drivers"
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  counted,
  host,
  ipv4,
  Neighbour,
  packet,
  type PacketOptions,
  raw,
  type Seen,
  STACK
} from "../../support/internet.ts"

const GROUP = "239.1.2.3"
const ALERT = [148, 4, 0, 0]
const IGMP = 2

const bare = Layer.fresh(NetworkStack.layerSeeded(1))
const stack = Layer.fresh(Neighbour.layer().pipe(Layer.provideMerge(NetworkStack.layerSeeded(1))))

const decode = Schema.decodeSync(IgmpMessage.schema)

/** An IGMP message with its checksum. */
const message = (...octets: ReadonlyArray<number>): Uint8Array => {
  const bytes = Uint8Array.from(octets)
  new DataView(bytes.buffer).setUint16(2, Checksum.finish(Checksum.add(0, bytes, 0, bytes.length)))
  return bytes
}

const ofGroup = (type: number, code = 0, group = GROUP) => message(type, code, 0, 0, ...group.split(".").map(Number))
const generalQuery = message(0x11, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0)

/** Says a message to a group, with all that belongs to it unless the options say otherwise. */
const say = (body: Uint8Array, options: PacketOptions = {}) =>
  Effect.map(Neighbour, (neighbour) => {
    const { destination = "224.0.0.1" } = options
    const whole = { timeToLive: 1, typeOfService: 0xc0, options: ALERT, protocol: IGMP, ...options, destination, body }
    neighbour.say(packet(whole), destination.startsWith("192.") ? undefined : multicastAddress(raw(destination)))
  })

/** The IGMP that the stack has sent, and in short what it is about. */
const heard = Effect.map(Neighbour, (neighbour) => neighbour.hear().filter(({ protocol }) => protocol === IGMP))
const told = Effect.map(heard, (all) => all.map(inShort))
const inShort = ({ body, source }: Seen): string => {
  const value = decode(body)
  const what = value._tag === "ReportV3"
    ? value.records.map(({ group, sources, type }) => `${type} ${group} ${sources.join()}`.trim()).join("; ")
    : `${value._tag} ${"group" in value ? value.group : ""}`
  return `${source}: ${what}`
}

const join = (group = GROUP) =>
  Effect.gen(function*() {
    const port = yield* (yield* Udp).bind()
    yield* port.join(ipv4(group))
  })

/** Joined, and everything said about it. */
const joined = Effect.gen(function*() {
  yield* join()
  yield* TestClock.adjust("10 seconds")
  yield* heard
})

describe("messages", () => {
  it.effect("carry what routers look for (RFC 9776 §4)", () =>
    Effect.gen(function*() {
      yield* join()
      const [seen, ...more] = yield* heard
      assert.deepStrictEqual(more, [])
      assert.deepInclude(seen, {
        source: STACK,
        destination: "224.0.0.22",
        linkDestination: 0x0100_5e00_0016,
        timeToLive: 1,
        typeOfService: 0xc0,
        dontFragment: true,
        options: Uint8Array.from(ALERT)
      })
      assert.isTrue(Checksum.verify(Checksum.add(0, seen!.body, 0, seen!.body.length)))
      assert.strictEqual(inShort(seen!), `${STACK}: 4 ${GROUP}`)
      assert.deepStrictEqual(yield* counted("igmp."), { sent: 1 })
    }).pipe(Effect.provide(stack)))

  it.effect("of version 2 go to the group, and leaves to all routers", () =>
    Effect.gen(function*() {
      yield* say(ofGroup(0x11, 10, "0.0.0.0"))
      yield* Effect.scoped(join())
      const seen = yield* heard
      assert.deepStrictEqual(seen.map(({ destination }) => destination), [GROUP, "224.0.0.2"])
      assert.deepStrictEqual(seen.map(inShort), [`${STACK}: ReportV2 ${GROUP}`, `${STACK}: Leave ${GROUP}`])
      assert.isTrue(seen.every(({ options }) => options.join() === ALERT.join()))
    }).pipe(Effect.provide(stack)))

  it.effect("say nothing of all hosts, nor anything on a loopback device", () =>
    Effect.gen(function*() {
      yield* join("224.0.0.1")
      const port = yield* (yield* Udp).bind()
      yield* port.join(ipv4(GROUP), { interface: ipv4("127.0.0.1") })
      yield* say(generalQuery)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* heard, [])
      assert.deepStrictEqual(
        (yield* (yield* Igmp).memberships).map(({ device, group, version }) => [device, String(group), version]),
        [["eth0", "224.0.0.1", 3], ["lo", GROUP, undefined]]
      )
    }).pipe(Effect.provide(Layer.fresh(
      Layer.mergeAll(Neighbour.layer(), Loopback.layer).pipe(Layer.provideMerge(NetworkStack.layerSeeded(1)))
    ))))

  it.effect("are cut so that the link carries them", () =>
    Effect.gen(function*() {
      const { device } = (yield* Routing).interfaces()[0]!
      const sources = Array.from({ length: 30 }, (_, index) => 0x0a00_0001 + index)
      ;(yield* Multicast).member().listen(device, 0xe801_0203, include(sources))
      const seen = yield* heard
      assert.isAbove(seen.length, 1)
      assert.isTrue(seen.every(({ bytes }) => bytes.length <= 100))
      const reported = seen.map(({ body }) => decode(body)).flatMap((value) =>
        value._tag === "ReportV3" ? value.records.flatMap((record) => record.sources.map(String)) : []
      )
      assert.deepStrictEqual([reported.length, new Set(reported).size], [30, 30])
    }).pipe(Effect.provide(Layer.fresh(
      Neighbour.layer({ mtu: 100 }).pipe(Layer.provideMerge(NetworkStack.layerSeeded(1)))
    ))))
})

describe("queries", () => {
  it.effect("are answered after a random time within what they allow", () =>
    Effect.gen(function*() {
      yield* joined
      yield* say(generalQuery)
      assert.deepStrictEqual(yield* told, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* told, [`${STACK}: 2 ${GROUP}`])
      assert.strictEqual((yield* counted("igmp."))["queriesReceived"], 1)
    }).pipe(Effect.provide(stack)))

  it.effect.each<readonly [string, PacketOptions]>([
    ["to the group itself", { destination: GROUP }],
    ["to this host alone", { destination: STACK }],
    ["from a bridge without an address", { source: "0.0.0.0" }]
  ])("are believed when they come %s", ([, options]) =>
    Effect.gen(function*() {
      yield* joined
      yield* say(generalQuery, options)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* told, [`${STACK}: 2 ${GROUP}`])
    }).pipe(Effect.provide(stack)))

  it.effect("of version 1 need no router alert, which they are older than", () =>
    Effect.gen(function*() {
      yield* joined
      yield* say(ofGroup(0x11, 0, "0.0.0.0"), { options: [] })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* told, [`${STACK}: ReportV1 ${GROUP}`])
    }).pipe(Effect.provide(stack)))

  it.effect("of version 2 are answered by one host: another's report counts for all", () =>
    Effect.gen(function*() {
      yield* joined
      yield* say(ofGroup(0x11, 100, "0.0.0.0"))
      yield* say(ofGroup(0x16), { destination: GROUP })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* told, [])
      assert.deepStrictEqual(yield* counted("igmp.reports"), { Received: 1 })
    }).pipe(Effect.provide(stack)))
})

describe("drops", () => {
  const broken = generalQuery.slice()
  broken[3]! ^= 1
  const cases: ReadonlyArray<readonly [string, string, Uint8Array, PacketOptions?]> = [
    ["truncated", "a message of seven octets", generalQuery.subarray(0, 7)],
    ["truncated", "a query with fewer sources than it says", message(0x11, 10, 0, 0, 239, 1, 2, 3, 2, 125, 0, 1)],
    ["badChecksum", "a query that was damaged", broken],
    ["badTimeToLive", "a query that was forwarded", generalQuery, { timeToLive: 2 }],
    ["noRouterAlert", "a query of version 3 that routers need not see", generalQuery, { options: [] }],
    ["noRouterAlert", "a query of version 2 that routers need not see", ofGroup(0x11, 10), { options: [] }],
    ["offLink", "a query from elsewhere", generalQuery, { source: "198.51.100.1" }],
    ["offLink", "a report from elsewhere", ofGroup(0x16), { source: "198.51.100.1" }],
    ["offLink", "a report from nowhere", ofGroup(0x16), { source: "0.0.0.0" }],
    ["badGroup", "a query about a host", ofGroup(0x11, 10, "192.0.2.7")],
    ["badGroup", "a report of a host", ofGroup(0x16, 0, "192.0.2.7")],
    ["badLength", "a query between two versions", message(0x11, 10, 0, 0, 239, 1, 2, 3, 2, 125)],
    [
      "sourcesOfNoGroup",
      "a query about sources of no group",
      message(0x11, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 1, 1, 2, 3, 4)
    ],
    ["forRouters", "another host's leave", ofGroup(0x17)],
    ["forRouters", "another host's report of version 3", message(0x22, 0, 0, 0, 0, 0, 0, 0)],
    ["unknownType", "a type nobody knows", ofGroup(0x13)]
  ]
  it.effect.each(cases)("are counted as %s: %s", ([reason, , body, options]) =>
    Effect.gen(function*() {
      yield* joined
      yield* say(body, options)
      assert.deepStrictEqual(yield* counted("igmp.dropped."), { [reason]: 1 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* heard, [])
    }).pipe(Effect.provide(stack)))

  it.effect("what arrives on a link without an address of ours is dropped as notTalkedOn", () =>
    Effect.gen(function*() {
      yield* (yield* Routing).removeAddress("eth0", ipv4(STACK))
      yield* say(generalQuery)
      assert.deepStrictEqual(yield* counted("igmp.dropped."), { notTalkedOn: 1 })
    }).pipe(Effect.provide(stack)))
})

describe("links", () => {
  it.effect("are left with their last address, and entered again with a new one", () =>
    Effect.gen(function*() {
      const routing = yield* Routing
      yield* joined
      yield* routing.addAddress("eth0", host("192.0.2.77/24"))
      yield* routing.removeAddress("eth0", ipv4(STACK))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* told, [])
      yield* routing.removeAddress("eth0", ipv4("192.0.2.77"))
      assert.deepStrictEqual(yield* told, [`0.0.0.0: 3 ${GROUP}`])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* told, [])
      yield* routing.addAddress("eth0", host("192.0.2.78/24"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* told, [`192.0.2.78: 4 ${GROUP}`, `192.0.2.78: 4 ${GROUP}`])
    }).pipe(Effect.provide(stack)))

  it.effect("are told everything when they come up again, and nothing while they are down", () =>
    Effect.gen(function*() {
      const devices = yield* Devices
      yield* joined
      yield* devices.close("eth0")
      yield* Effect.scoped(join("239.4.5.6").pipe(Effect.ignore))
      yield* TestClock.adjust("1 minute")
      yield* devices.open("eth0")
      assert.deepStrictEqual(yield* told, [`${STACK}: 4 ${GROUP}`])
    }).pipe(Effect.provide(stack)))

  it.effect("are left before their device goes, with all groups in one report; it can be gone while sockets stay", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const neighbour = Context.get(yield* Layer.buildWithScope(Neighbour.layer(), scope), Neighbour)
      const { device } = (yield* Routing).interfaces()[0]!
      const port = yield* (yield* Udp).bind()
      yield* port.join(ipv4(GROUP))
      yield* port.join(ipv4("232.1.2.3"), { source: ipv4("192.0.2.1") })
      yield* TestClock.adjust("10 seconds")
      neighbour.hear()
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(neighbour.hear().map(inShort), [`${STACK}: 3 ${GROUP}; 6 232.1.2.3 192.0.2.1`])
      const multicast = yield* Multicast
      assert.strictEqual(multicast.groups(device).size, 0)
      multicast.member().listen(device, 0xef01_0203, EVERYTHING)
      assert.isFalse(multicast.accepts(device, 0xef01_0203))
    }).pipe(Effect.provide(bare)))

  it.effect("are not told that one of several sockets leaves", () =>
    Effect.gen(function*() {
      yield* joined
      yield* Effect.scoped(join())
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* told, [])
    }).pipe(Effect.provide(stack)))
})
