/**
 * Groups between the stack and the kernel: who hears whom, what the stack tells routers, and what a bridge that listens to
 * that makes of it.
 */
import { expect, layer } from "@effect/vitest"
import { Igmp, NetworkStack, Statistics } from "@strata/core"
import { Tap } from "@strata/drivers"
import { UdpSocket } from "@strata/sockets"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import {
  describeOffloads,
  hostWith,
  KERNEL,
  Kernel,
  MAC,
  multicastPeer,
  ON_AND_OFF,
  quiet,
  STACK
} from "../support/linux.ts"
import { describeLinux, make, type Namespace, type Running } from "../support/namespace.ts"
import { withFolder } from "../support/tools.ts"

const GROUP = "239.1.2.3"
const CHANNEL = "232.1.2.3"
const PORT = 5000
/** A second address of the kernel. */
const OTHER = "192.0.2.3"

/** Asks again and again until it holds; after some seconds the test fails with what it was. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  effect.pipe(
    Effect.filterOrFail(holds, (value) => new Error(`it was ${JSON.stringify(value)}`)),
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 200 })))
  )

/** Tells a program of the kernel's side something, and waits until it is done. */
const tell = (peer: Running, line: string) =>
  Effect.gen(function*() {
    const confirmed = `done ${line}\n`
    const before = peer.stdout().split(confirmed).length
    yield* peer.write(`${line}\n`)
    yield* eventually(Effect.sync(() => peer.stdout().split(confirmed).length), (count) => count > before)
  })

const started = Effect.fnUntraced(function*(kernel: Namespace, address: string) {
  const peer = yield* multicastPeer(kernel, { address, port: PORT })
  yield* peer.prints(/ready/)
  return peer
})

/** A socket, and what it has heard so far. */
const listening = Effect.gen(function*() {
  const socket = yield* UdpSocket.bind({ port: PORT, shared: true })
  const heard: Array<string> = []
  yield* socket.datagrams.pipe(
    Stream.runForEach(({ payload }) => Effect.sync(() => heard.push(new TextDecoder().decode(payload)))),
    Effect.ignore,
    Effect.forkScoped
  )
  return { socket, heard }
})

/** Sends until it is heard, so that everything sent before has had its time. */
const hears = (heard: ReadonlyArray<string>, text: string) =>
  eventually(Effect.sync(() => heard), (all) => all.includes(text))

const counter = (name: string) =>
  Effect.flatMap(Statistics, ({ snapshot }) => Effect.map(snapshot, (counters) => counters[name] ?? 0))

/** Records the IGMP of an interface while `exchange` runs; what tshark tells of each message of the stack's, and its remarks. */
const captured = Effect.fnUntraced(function*<A, E, R>(kernel: Namespace, exchange: Effect.Effect<A, E, R>) {
  return yield* withFolder((folder) =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(folder, "igmp.pcap")
      const tcpdump = yield* kernel.spawn("tcpdump", "-i", "tap0", "--immediate-mode", "-Z", "root", "-w", file, "igmp")
      yield* tcpdump.prints(/listening on tap0/)
      yield* exchange
      yield* Effect.sleep(300)
      yield* tcpdump.kill("SIGINT")
      yield* tcpdump.result
      const tshark = (filter: string, ...fields: ReadonlyArray<string>) =>
        Effect.map(
          kernel.succeed(
            "tshark",
            "-r",
            file,
            "-o",
            "ip.check_checksum:TRUE",
            "-Y",
            filter,
            "-T",
            "fields",
            ...fields.flatMap((field) => ["-e", field])
          ),
          ({ stdout }) => stdout.split("\n").filter((line) => line !== "").map((line) => line.replaceAll("\t", " "))
        )
      const ours = `ip.src == ${STACK}`
      return {
        messages: yield* tshark(ours, "ip.dst", "igmp.type", "igmp.record_type", "igmp.maddr", "igmp.saddr"),
        frames: yield* tshark(ours, "eth.dst", "ip.ttl", "ip.dsfield", "ip.opt.type", "igmp.checksum.status"),
        remarks: yield* tshark(`${ours} && _ws.expert`, "_ws.expert.message")
      }
    }))
  )
})

/** A bridge with the TAP on it, that asks who is a member and forwards to those. */
class Bridge extends Context.Service<Bridge, Namespace>()("test/Bridge") {}

const bridged = (version: 2 | 3) => {
  const bridge = Layer.effect(
    Bridge,
    Effect.gen(function*() {
      const kernel = yield* make
      yield* quiet(kernel)
      const ip = (line: string) => kernel.succeed("ip", ...line.split(" "))
      // Times are in hundredths of a second.
      yield* ip(
        "link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_query_response_interval 50 " +
          "mcast_startup_query_interval 50 mcast_query_interval 100 mcast_last_member_interval 20 " +
          `mcast_igmp_version ${version}`
      )
      yield* ip("tuntap add mode tap name tap0")
      yield* ip("link set tap0 master br0")
      yield* ip("link set tap0 up")
      yield* ip(`addr add ${KERNEL}/24 dev br0`)
      yield* ip("link set br0 up")
      return kernel
    })
  )
  const tap = Layer.unwrap(
    Effect.map(
      Bridge,
      (kernel) => Tap.layer({ name: "tap0", address: `${STACK}/24`, mac: MAC, namespace: kernel.path })
    )
  )
  return Layer.fresh(tap.pipe(Layer.provideMerge(NetworkStack.layer), Layer.provideMerge(bridge)))
}

describeOffloads("Linux, multicast", ["tcpdump", "tshark"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the stack hears the kernel while it is a member, and no longer", () =>
      Effect.gen(function*() {
        const peer = yield* started(yield* Kernel, KERNEL)
        const { heard, socket } = yield* listening
        const scope = yield* Scope.make()
        yield* tell(peer, `send ${GROUP} ${PORT} too early`)
        yield* Scope.provide(socket.join(GROUP), scope)
        yield* tell(peer, `send ${GROUP} ${PORT} to members`)
        yield* hears(heard, "to members")
        yield* Scope.close(scope, Exit.void)
        const before = yield* counter("ethernet.dropped.notForUs")
        yield* tell(peer, `send ${GROUP} ${PORT} too late`)
        yield* eventually(counter("ethernet.dropped.notForUs"), (dropped) => dropped > before)
        expect(heard).toEqual(["to members"])
      }))

    it.effect("the kernel hears the stack, from every source or from that one", () =>
      Effect.gen(function*() {
        const peer = yield* started(yield* Kernel, KERNEL)
        const socket = yield* UdpSocket.bind({ multicast: { timeToLive: 3, interface: STACK } })
        yield* tell(peer, `join ${GROUP}`)
        yield* tell(peer, `join ${CHANNEL} ${STACK}`)
        yield* socket.send("to a group", `${GROUP}:${PORT}`)
        yield* peer.prints(new RegExp(`heard to a group from ${STACK}`))
        yield* socket.send("to a channel", `${CHANNEL}:${PORT}`)
        yield* peer.prints(new RegExp(`heard to a channel from ${STACK}`))
      }))

    it.effect("the stack hears the sources it wants", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.exec("ip", "addr", "add", `${OTHER}/24`, "dev", "tap0")
        const one = yield* started(kernel, KERNEL)
        const second = yield* multicastPeer(kernel, { address: OTHER, port: PORT + 1 })
        yield* second.prints(/ready/)
        const { heard, socket } = yield* listening
        yield* socket.join(CHANNEL, { source: OTHER })
        yield* tell(one, `send ${CHANNEL} ${PORT} unwanted`)
        yield* tell(second, `send ${CHANNEL} ${PORT} wanted`)
        yield* hears(heard, "wanted")
        yield* socket.join(GROUP)
        yield* socket.block(GROUP, OTHER)
        yield* tell(second, `send ${GROUP} ${PORT} blocked`)
        yield* tell(one, `send ${GROUP} ${PORT} not blocked`)
        yield* hears(heard, "not blocked")
        expect(heard).toEqual(["wanted", "not blocked"])
      }))

    it.effect("tells routers what it joins and leaves, in messages that tshark has nothing against", () =>
      Effect.gen(function*() {
        const group = "239.7.7.7"
        const channel = "232.7.7.7"
        // What was left is told again within a second.
        yield* Effect.sleep(1100)
        const { frames, messages, remarks } = yield* captured(
          yield* Kernel,
          Effect.gen(function*() {
            const { socket } = yield* listening
            const before = yield* counter("igmp.sent")
            yield* socket.join("224.0.0.1")
            yield* socket.join(group)
            yield* socket.join(channel, { source: KERNEL })
            yield* socket.block(group, OTHER)
            // Three changes, at once and once more together.
            yield* eventually(counter("igmp.sent"), (sent) => sent >= before + 4)
          }).pipe(Effect.scoped, Effect.andThen(Effect.sleep(1200)))
        )
        expect(remarks).toEqual([])
        expect(new Set(frames)).toEqual(new Set(["01:00:5e:00:00:16 1 0xc0 148 1"]))
        // The second change of the group is told with what is left of the first: it still is a new mode, with its list.
        expect(messages.slice(0, 3)).toEqual([
          `224.0.0.22 0x22 4 ${group} `,
          `224.0.0.22 0x22 5 ${channel} ${KERNEL}`,
          `224.0.0.22 0x22 4 ${group} ${OTHER}`
        ])
        // The leaves: a group that includes nobody, and a channel whose source is not wanted any more.
        const text = messages.slice(3).join("\n")
        expect(text).toMatch(new RegExp(`0x22 3 ${group}`))
        expect(text).toMatch(new RegExp(`0x22 6 ${channel} ${KERNEL}`))
        expect(messages.join()).not.toContain("224.0.0.1 ")
      }))
  })
}, ON_AND_OFF)

// What a bridge learns from IGMP, whose checksums nobody offloads.
describeLinux("Linux, multicast through a bridge", () => {
  for (const version of [2, 3] as const) {
    layer(bridged(version), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
      it.effect(`a bridge that asks in version ${version} forwards to the stack while it is a member`, () =>
        Effect.gen(function*() {
          const kernel = yield* Bridge
          const peer = yield* started(kernel, KERNEL)
          const { heard, socket } = yield* listening
          const database = Effect.map(kernel.succeed("bridge", "mdb", "show", "dev", "br0"), ({ stdout }) => stdout)
          const frames = counter("device.tap0.receivedPackets")
          // Once the bridge has asked for a while, it sends groups to those alone who have answered.
          yield* eventually(counter("igmp.queriesReceived"), (queries) => queries > 0)
          const isKeptBack = eventually(
            Effect.gen(function*() {
              const before = yield* frames
              for (let round = 0; round < 10; round++) yield* tell(peer, `send ${GROUP} ${PORT} unwanted`)
              yield* Effect.sleep(50)
              return (yield* frames) - before
            }),
            (arrived) => arrived < 5
          )
          yield* isKeptBack
          const scope = yield* Scope.make()
          yield* Scope.provide(socket.join(GROUP), scope)
          yield* eventually(database, (entries) => entries.includes(`grp ${GROUP}`))
          const [membership] = yield* (yield* Igmp).memberships
          expect(membership?.version).toBe(version)
          yield* tell(peer, `send ${GROUP} ${PORT} forwarded`)
          yield* hears(heard, "forwarded")
          yield* Scope.close(scope, Exit.void)
          yield* eventually(database, (entries) => !entries.includes(`grp ${GROUP}`))
          yield* isKeptBack
          expect(heard).toEqual(["forwarded"])
        }))
    })
  }
})
