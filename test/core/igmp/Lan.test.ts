/**
 * Hosts on a switch, and a querier that is written here: a program that says queries and keeps what it hears.
 */
import { assert, describe, it } from "@effect/vitest"
import { Entropy, Ipv4, Multicast, Routing, Turn } from "@strata/core"
import * as Packet from "@strata/core/device/Packet"
import type { GroupRecord } from "@strata/core/igmp/Memberships"
import * as SourceFilter from "@strata/core/ip/SourceFilter"
import { formatIpv4, fromIpv4 } from "@strata/core/wire/Address"
import * as Checksum from "@strata/core/wire/Checksum"
import * as IgmpMessage from "@strata/core/wire/IgmpMessage"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import * as Distribution from "@strata/drivers/path/Distribution"
import * as Loss from "@strata/drivers/path/Loss"
import { type Host, Network, Simulation } from "@strata/simulation"
import { UdpSocket } from "@strata/sockets"
import { Effect, Exit, Schema, Scope } from "effect"
import { NetAddress } from "effect/net"
import { ip, raw } from "../../support/fakeIpv4.ts"
import { Router } from "../../support/igmpRouter.ts"

const GROUP = "239.1.2.3"
const GROUPS = [GROUP, "239.4.5.6", "239.7.8.9"]
const ALERT = Uint8Array.of(148, 4, 0, 0)

const decode = Schema.decodeSync(IgmpMessage.schema)
const encode = Schema.encodeSync(IgmpMessage.schema)

interface Heard {
  readonly from: string
  readonly message: IgmpMessage.IgmpMessage
}

const recordsIn = (message: IgmpMessage.IgmpMessage): ReadonlyArray<GroupRecord> =>
  message._tag !== "ReportV3"
    ? []
    : message.records.map(({ group, sources, type }) => ({
      type,
      group: fromIpv4(group),
      sources: sources.map(fromIpv4)
    }))

/** Makes a querier of a host, in this scope; it hears all reports, leaves, and what goes to the groups above. */
const querier = Effect.gen(function*() {
  const turn = yield* Turn
  const ipv4 = yield* Ipv4
  const { device } = (yield* Routing).interfaces().find((own) => !own.device.flags.loopback)!
  const member = (yield* Multicast).member()
  for (const group of ["224.0.0.22", "224.0.0.2", ...GROUPS]) {
    member.listen(device, raw(group), SourceFilter.EVERYTHING)
  }
  const heard: Array<Heard> = []
  /** What each host is taken to listen to. */
  const views = new Map<string, Router>()
  yield* ipv4.handle(Protocol.igmp, (_, packet) => {
    const from = formatIpv4(packet.source)
    const message = decode(packet.toBytes())
    heard.push({ from, message })
    const view = views.get(from) ?? new Router()
    views.set(from, view)
    view.hear([{ _tag: "ReportV3", records: recordsIn(message) }])
  })
  const ask = (query: IgmpMessage.IgmpMessage, destination = "224.0.0.1") =>
    Effect.sync(() => {
      const bytes = encode(query)
      new DataView(bytes.buffer).setUint16(2, Checksum.finish(Checksum.add(0, bytes, 0, bytes.length)))
      const packet = Packet.make(bytes.length)
      packet.append(bytes)
      Object.assign(packet, { destination: raw(destination), protocol: Protocol.igmp, timeToLive: 1 })
      packet.networkOptions = ALERT
      packet.outlet = device
      heard.length = 0
      turn.run(() => ipv4.output(packet))
    })
  return { heard, views, ask }
})

const queryV3 = (group = "0.0.0.0", sources: ReadonlyArray<string> = []): IgmpMessage.IgmpMessage => ({
  _tag: "QueryV3",
  maxResponse: 50,
  checksum: 0,
  group: ip(group),
  flags: 0,
  suppress: false,
  robustness: 3,
  interval: 125,
  sources: sources.map(ip),
  data: new Uint8Array()
})

const queryV2 = (group = "0.0.0.0"): IgmpMessage.IgmpMessage => ({
  _tag: "Query",
  maxResponse: 50,
  checksum: 0,
  group: ip(group)
})

const addressOf = (host: Host) => NetAddress.formatIp(host.addresses()[0]!)

/** A router and three hosts on a switch that takes a millisecond. */
const lan = Effect.gen(function*() {
  const network = yield* Network
  const router = yield* network.host("router")
  const members = yield* Effect.forEach(["a", "b", "c"], (name) => network.host(name))
  const link = yield* network.lan([router, ...members], { conditions: { latency: Distribution.constant(1) } })
  return { router, members, link }
})

/** Joins on a host in a scope of its own. */
const joining = Effect.fnUntraced(function*(host: Host, group: string, options?: UdpSocket.JoinOptions) {
  const scope = yield* Scope.make()
  yield* host.run(Scope.provide(
    Effect.gen(function*() {
      const socket = yield* UdpSocket.bind()
      yield* socket.join(group, options)
    }),
    scope
  ))
  return scope
})

const leave = (host: Host, scope: Scope.Closeable) => host.run(Scope.close(scope, Exit.void))

describe("a querier on a LAN", () => {
  it.effect("knows at once who joins and leaves what", () =>
    Simulation.run(Effect.gen(function*() {
      const { members: [a, b], router } = yield* lan
      yield* router.run(Effect.gen(function*() {
        const { views } = yield* querier
        const forwards = (host: Host, group: string) =>
          views.get(addressOf(host))?.forwards(raw(group)) ?? SourceFilter.NOTHING
        const scope = yield* joining(a!, GROUP)
        yield* joining(b!, "232.1.2.3", { source: "192.0.2.9" })
        yield* Effect.sleep("10 millis")
        assert.deepStrictEqual(forwards(a!, GROUP), SourceFilter.EVERYTHING)
        assert.deepStrictEqual(forwards(b!, GROUP), SourceFilter.NOTHING)
        assert.deepStrictEqual(forwards(b!, "232.1.2.3"), SourceFilter.include([raw("192.0.2.9")]))
        yield* leave(a!, scope)
        yield* Effect.sleep("10 millis")
        assert.deepStrictEqual(forwards(a!, GROUP), SourceFilter.NOTHING)
      }))
    })))

  it.effect("hears that a host stops, and nothing of one that crashes", () =>
    Simulation.run(Effect.gen(function*() {
      const { members: [a, b], router } = yield* lan
      yield* router.run(Effect.gen(function*() {
        const { heard, views } = yield* querier
        const stays = UdpSocket.bind().pipe(Effect.flatMap(({ join }) => join(GROUP)), Effect.andThen(Effect.never))
        for (const host of [a!, b!]) yield* host.fork(stays)
        yield* Effect.sleep("5 seconds")
        const addresses = [a!, b!].map(addressOf)
        const forwards = () => addresses.map((address) => views.get(address)!.groups.has(raw(GROUP)))
        assert.deepStrictEqual(forwards(), [true, true])
        heard.length = 0
        yield* b!.crash
        yield* Effect.sleep("5 seconds")
        assert.deepStrictEqual(heard, [])
        yield* a!.stop
        yield* Effect.sleep("5 seconds")
        assert.deepStrictEqual(forwards(), [false, true])
      }))
    })))

  it.effect("hears of every host in version 3, within the time it allows, and not all at once", () =>
    Simulation.run(Effect.gen(function*() {
      const { members, router } = yield* lan
      yield* router.run(Effect.gen(function*() {
        const { ask, heard } = yield* querier
        yield* Effect.forEach(members, (host) => joining(host, GROUP))
        yield* Effect.sleep("5 seconds")
        yield* ask(queryV3())
        const times: Array<number> = []
        for (let tenth = 0; tenth < 51; tenth++) {
          yield* Effect.sleep("100 millis")
          while (times.length < heard.length) times.push(tenth)
        }
        assert.sameMembers(heard.map(({ from }) => from), members.map(addressOf))
        assert.strictEqual(new Set(times).size, 3)
        yield* ask(queryV3(GROUP, ["192.0.2.200"]), GROUP)
        yield* Effect.sleep("6 seconds")
        assert.strictEqual(heard.length, 3)
        yield* ask(queryV3("239.200.1.1"), "239.200.1.1")
        yield* Effect.sleep("6 seconds")
        assert.strictEqual(heard.length, 0)
      }))
    })))

  it.effect("hears of a group once in version 2, whoever listens, and of the last member's leave", () =>
    Simulation.run(Effect.gen(function*() {
      const { members, router } = yield* lan
      yield* router.run(Effect.gen(function*() {
        const { ask, heard } = yield* querier
        yield* ask(queryV2())
        yield* Effect.sleep("10 millis")
        const scopes = yield* Effect.forEach(members, (host) => joining(host, GROUP))
        // Joins are told again within ten seconds.
        yield* Effect.sleep("20 seconds")
        yield* ask(queryV2())
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(heard.map(({ message }) => message._tag), ["ReportV2"])
        const reporter = members.findIndex((host) => addressOf(host) === heard[0]!.from)
        yield* Effect.forEach(members, (host, index) => index === reporter ? Effect.void : leave(host, scopes[index]!))
        yield* Effect.sleep("1 second")
        assert.strictEqual(heard.length, 1)
        yield* leave(members[reporter]!, scopes[reporter]!)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(heard.map(({ message }) => message._tag), ["ReportV2", "Leave"])
      }))
    })))

  it.effect.each([1, 2, 3])(
    "knows everything after one query, however much was lost before (seed %i)",
    (seed) =>
      Simulation.run(
        Effect.gen(function*() {
          const { link, members, router } = yield* lan
          const truth = new Map(members.map((host) => [host, new Map<string, Scope.Closeable>()]))
          yield* router.run(Effect.gen(function*() {
            const { ask, views } = yield* querier
            yield* link.set({ loss: Loss.bernoulli(0.5) })
            const { below } = yield* Entropy
            for (let step = 0; step < 60; step++) {
              const host = members[below(3)]!
              const group = GROUPS[below(3)]!
              const joined = truth.get(host)!
              const scope = joined.get(group)
              if (scope === undefined) joined.set(group, yield* joining(host, group))
              else {
                joined.delete(group)
                yield* leave(host, scope)
              }
              yield* Effect.sleep(step % 4 === 0 ? "2 seconds" : "30 millis")
            }
            yield* link.set({ loss: Loss.bernoulli(0) })
            yield* Effect.sleep("10 seconds")
            views.clear()
            yield* ask(queryV3())
            yield* Effect.sleep("10 seconds")
            assert.isTrue(members.some((host) => truth.get(host)!.size > 0))
            for (const host of members) {
              const view = views.get(addressOf(host)) ?? new Router()
              assert.sameMembers([...view.groups.keys()], [...truth.get(host)!.keys()].map(raw))
            }
          }))
        }),
        { seed }
      )
  )
})
