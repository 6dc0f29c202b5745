/**
 * What sockets join, and what they hear then, between hosts on a switch in virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Igmp, NetworkStack, Statistics, Turn, Udp, type UdpPort } from "@strata/core"
import { type Host, Network, Simulation } from "@strata/simulation"
import { UdpSocket } from "@strata/sockets"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { NetAddress } from "effect/net"
import { ip } from "../../support/fakeIpv4.ts"
import { NEIGHBOUR, Neighbour } from "../../support/internet.ts"

const GROUP = "239.1.2.3"
const CHANNEL = "232.1.2.3"
const PORT = 5000

const text = (payload: Uint8Array) => new TextDecoder().decode(payload)

/** A host that keeps what one of its sockets hears; more than a latency later everything has arrived. */
const settled = Effect.sleep("100 millis")

const addressOf = (host: Host) => NetAddress.formatIp(host.addresses()[0]!)

/** Sends from one host to a group. */
const say = (from: Host, message: string, options: UdpSocket.BindOptions = {}, group = GROUP) =>
  from.run(Effect.scoped(Effect.gen(function*() {
    const socket = yield* UdpSocket.bind(options)
    yield* socket.send(message, `${group}:${PORT}`)
    yield* settled
  })))

interface Listening {
  readonly socket: UdpSocket.UdpSocket
  /** What was heard since the last look. */
  readonly heard: Effect.Effect<ReadonlyArray<string>>
}

/** Opens a socket in this scope, to be used by programs of the host. */
const listening = Effect.fnUntraced(function*(options: UdpSocket.BindOptions = {}) {
  const socket = yield* UdpSocket.bind({ port: PORT, shared: true, ...options })
  const messages: Array<string> = []
  yield* Effect.forkScoped(
    socket.datagrams.pipe((stream) => streamInto(stream, messages), Effect.ignore)
  )
  const result: Listening = { socket, heard: Effect.andThen(settled, Effect.sync(() => messages.splice(0))) }
  return result
})

const streamInto = (stream: UdpSocket.UdpSocket["datagrams"], messages: Array<string>) =>
  Stream.runForEach(stream, ({ payload }) => Effect.sync(() => void messages.push(text(payload))))

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

/** Why a socket cannot send like that. */
const refusal = (multicast: UdpSocket.MulticastOptions) => reasonOf(UdpSocket.bind({ multicast }))

/** A receiver and two senders on a switch. */
const hosts = Effect.gen(function*() {
  const network = yield* Network
  const receiver = yield* network.host("receiver")
  const first = yield* network.host("first")
  const second = yield* network.host("second")
  yield* network.lan([receiver, first, second])
  return { receiver, first, second } as const
})

describe("groups of sockets", () => {
  it.effect("only sockets that have joined hear a group, and no longer than they are members", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const member = yield* listening()
        const stranger = yield* listening()
        const scope = yield* Scope.make()
        yield* say(first, "too early")
        yield* Scope.provide(member.socket.join(GROUP), scope)
        yield* say(first, "to members")
        assert.deepStrictEqual(yield* member.heard, ["to members"])
        yield* Scope.close(scope, Exit.void)
        yield* say(first, "too late")
        assert.deepStrictEqual(yield* member.heard, [])
        assert.deepStrictEqual(yield* stranger.heard, [])
        const counters = yield* (yield* Statistics).snapshot
        assert.strictEqual(counters["ethernet.dropped.notForUs"], 2)
      }))
    })))

  it.effect("every member on a host gets a copy; one that is closed is no member", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const passing = yield* Scope.provide(listening(), scope)
        yield* Scope.provide(passing.socket.join(GROUP), scope)
        const staying = yield* listening()
        yield* staying.socket.join(GROUP)
        yield* say(first, "both")
        assert.deepStrictEqual(yield* passing.heard, ["both"])
        yield* Scope.close(scope, Exit.void)
        yield* say(first, "one")
        assert.deepStrictEqual(yield* staying.heard, ["both", "one"])
      }))
    })))

  it.effect("a member of single sources hears those alone, each until it is left", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver, second } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening()
        const scope = yield* Scope.make()
        yield* Scope.provide(socket.join(CHANNEL, { source: addressOf(first) }), scope)
        yield* say(first, "first", {}, CHANNEL)
        yield* say(second, "second", {}, CHANNEL)
        assert.deepStrictEqual(yield* heard, ["first"])
        yield* socket.join(CHANNEL, { source: addressOf(second) })
        yield* say(second, "second again", {}, CHANNEL)
        assert.deepStrictEqual(yield* heard, ["second again"])
        yield* Scope.close(scope, Exit.void)
        yield* say(first, "first again", {}, CHANNEL)
        yield* say(second, "last", {}, CHANNEL)
        assert.deepStrictEqual(yield* heard, ["last"])
        assert.strictEqual((yield* (yield* Statistics).snapshot)["udp.dropped.notJoined"], 2)
      }))
    })))

  it.effect("a blocked source is not heard, by that socket, until it is unblocked", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver, second } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening()
        const other = yield* listening()
        yield* socket.join(GROUP)
        yield* other.socket.join(GROUP)
        const scope = yield* Scope.make()
        yield* Scope.provide(socket.block(GROUP, addressOf(first)), scope)
        yield* say(first, "1")
        yield* say(second, "2")
        assert.deepStrictEqual(yield* heard, ["2"])
        assert.isTrue(yield* socket.unblock(GROUP, addressOf(first)))
        assert.isFalse(yield* socket.unblock(GROUP, addressOf(first)))
        yield* say(first, "3")
        yield* Scope.provide(socket.block(GROUP, addressOf(first)), scope)
        yield* say(first, "4")
        yield* Scope.close(scope, Exit.void)
        yield* say(first, "5")
        assert.deepStrictEqual(yield* heard, ["3", "5"])
        assert.deepStrictEqual(yield* other.heard, ["1", "2", "3", "4", "5"])
      }))
    })))

  it.effect("refuses what does not go together, and says why", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver, second } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { socket } = yield* listening()
        const source = addressOf(first)
        assert.strictEqual(yield* reasonOf(socket.join("192.0.2.9")), "InvalidAddress")
        assert.strictEqual(yield* reasonOf(socket.join("no address")), "InvalidAddress")
        assert.strictEqual(yield* reasonOf(socket.join(CHANNEL)), "InvalidAddress")
        assert.strictEqual(yield* reasonOf(socket.join(GROUP, { source: "224.0.0.5" })), "InvalidAddress")
        assert.strictEqual(yield* reasonOf(socket.join(GROUP, { interface: source })), "AddressNotAvailable")
        assert.strictEqual(yield* reasonOf(socket.block(GROUP, source)), "MembershipConflict")
        yield* socket.join(GROUP)
        const again = yield* Effect.flip(socket.join(GROUP))
        assert.strictEqual(again.message, `the socket has joined ${GROUP} already`)
        assert.strictEqual(yield* reasonOf(socket.join(GROUP, { source })), "MembershipConflict")
        yield* socket.block(GROUP, source)
        assert.strictEqual(yield* reasonOf(socket.block(GROUP, source)), "MembershipConflict")
        yield* socket.join(CHANNEL, { source })
        assert.strictEqual(yield* reasonOf(socket.join(CHANNEL, { source })), "AlreadyJoined")
        yield* socket.join("239.9.9.9", { source: addressOf(second) })
        assert.strictEqual(yield* reasonOf(socket.join("239.9.9.9")), "MembershipConflict")
        const scope = yield* Scope.make()
        const closed = yield* Scope.provide(listening(), scope)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* reasonOf(closed.socket.join(GROUP)), "SocketClosed")
      }))
    })))

  it.effect("a host hears itself unless it does not want to", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening()
        yield* socket.send("to no member", `${GROUP}:${PORT}`)
        yield* socket.join(GROUP)
        yield* socket.send("to myself", `${GROUP}:${PORT}`)
        assert.deepStrictEqual(yield* heard, ["to myself"])
        const quiet = yield* UdpSocket.bind({ multicast: { loopback: false } })
        yield* quiet.send("to others", `${GROUP}:${PORT}`)
        assert.deepStrictEqual(yield* heard, [])
        yield* socket.block(GROUP, addressOf(receiver))
        yield* socket.send("to those who want it", `${GROUP}:${PORT}`)
        assert.deepStrictEqual(yield* heard, [])
      }))
      yield* first.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening()
        yield* socket.join(GROUP)
        yield* say(receiver, "out there", { multicast: { loopback: false } })
        assert.deepStrictEqual(yield* heard, ["out there"])
      }))
    })))

  it.effect("a membership ends with its socket, whatever becomes of its scope", () =>
    Simulation.run(Effect.gen(function*() {
      const { receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { memberships } = yield* Igmp
        const outer = yield* Effect.scope
        yield* Effect.scoped(Effect.gen(function*() {
          const { join } = yield* UdpSocket.bind()
          yield* Scope.provide(join(GROUP), outer)
          assert.strictEqual((yield* memberships).length, 1)
        }))
        assert.deepStrictEqual(yield* memberships, [])
      }))
    })))

  it.effect("a loopback device brings each datagram back once", () =>
    Simulation.run(Effect.gen(function*() {
      const { receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening({ multicast: { interface: "127.0.0.1" } })
        yield* socket.join(GROUP, { interface: "127.0.0.1" })
        yield* socket.send("inside", `${GROUP}:${PORT}`)
        assert.deepStrictEqual(yield* heard, ["inside"])
      }))
    })))

  it.effect("what a host says to itself has a bound", () =>
    Simulation.run(Effect.gen(function*() {
      const { receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const turn = yield* Turn
        let heard = 0
        const port = yield* (yield* Udp).bindWith({ port: PORT }, () => ++heard > 0)
        yield* port.join(ip(GROUP))
        turn.run(() => {
          for (let index = 0; index < 1030; index++) port.sendUnsafe(new Uint8Array(1), 0xef01_0203, PORT)
        })
        yield* settled
        assert.strictEqual(heard, 1024)
        assert.strictEqual((yield* (yield* Statistics).snapshot)["ipv4.dropped.loopFull"], 6)
      }))
    })))

  it.effect("datagrams live as long as was asked for, those to a group for one hop by default", () =>
    Effect.gen(function*() {
      const neighbour = yield* Neighbour
      const times: Array<number> = []
      for (const options of [{}, { timeToLive: 7, multicast: { timeToLive: 9 } }]) {
        const socket = yield* UdpSocket.bind(options)
        for (const destination of [NEIGHBOUR, GROUP]) yield* socket.send("x", `${destination}:${PORT}`)
        times.push(...neighbour.hear().map(({ timeToLive }) => timeToLive))
      }
      assert.deepStrictEqual(times, [64, 1, 7, 9])
    }).pipe(Effect.provide(Layer.fresh(Neighbour.layer().pipe(Layer.provideMerge(NetworkStack.layerSeeded(1)))))))

  it.effect("programs that answer themselves for ever leave others their time", () =>
    Simulation.run(Effect.gen(function*() {
      const { receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        const udp = yield* Udp
        let rounds = 0
        const port: UdpPort = yield* udp.bindWith({ port: PORT }, () => {
          rounds++
          if (rounds < 10_000) port.sendUnsafe(new Uint8Array(1), 0xef01_0203, PORT)
          return true
        })
        yield* port.join(ip(GROUP))
        port.sendUnsafe(new Uint8Array(1), 0xef01_0203, PORT)
        assert.isBelow(rounds, 2)
        yield* settled
        assert.strictEqual(rounds, 10_000)
      }))
    })))

  it.effect("a membership and a datagram stay on the interface that was chosen", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      const host = yield* network.host("host")
      const left = yield* network.host("left")
      const right = yield* network.host("right")
      yield* network.lan([host, left])
      yield* network.lan([host, right])
      const [, rightAddress] = host.addresses().map((address) => NetAddress.formatIp(address))
      yield* host.run(Effect.gen(function*() {
        const { heard, socket } = yield* listening({ multicast: { interface: rightAddress!, timeToLive: 9 } })
        yield* socket.join(GROUP, { interface: rightAddress! })
        yield* say(left, "left")
        yield* say(right, "right")
        assert.deepStrictEqual(yield* heard, ["right"])
        for (const [at, expected] of [[left, []], [right, ["out by the right one"]]] as const) {
          yield* at.run(Effect.gen(function*() {
            const there = yield* listening()
            yield* there.socket.join(GROUP)
            yield* host.run(socket.send("out by the right one", `${GROUP}:${PORT}`))
            assert.deepStrictEqual(yield* there.heard, expected)
          }))
        }
      }))
    })))

  it.effect("a socket that is connected to a group speaks from the interface that was chosen", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      const host = yield* network.host("host")
      const left = yield* network.host("left")
      const right = yield* network.host("right")
      yield* network.lan([host, left])
      yield* network.lan([host, right])
      const rightAddress = NetAddress.formatIp(host.addresses()[1]!)
      yield* right.run(Effect.gen(function*() {
        const there = yield* UdpSocket.bind({ port: PORT })
        yield* there.join(GROUP)
        yield* host.run(Effect.gen(function*() {
          const multicast = { interface: rightAddress }
          const socket = yield* UdpSocket.bind({ remote: `${GROUP}:${PORT}`, multicast })
          assert.strictEqual(NetAddress.formatIp(socket.local.address), rightAddress)
          yield* socket.send("out by the right one")
          // Another address of the host's can be the source all the same.
          const other = yield* UdpSocket.bind({ address: host.addresses()[0], multicast })
          yield* other.send("from the left one", `${GROUP}:${PORT}`)
        }))
        const datagrams = yield* there.datagrams.pipe(Stream.take(2), Stream.runCollect)
        assert.deepStrictEqual(
          datagrams.map(({ source }) => NetAddress.formatIp(source.address)),
          [rightAddress, addressOf(host)]
        )
      }))
    })))

  it.effect("says what is wrong with how datagrams are to leave", () =>
    Simulation.run(Effect.gen(function*() {
      const { first, receiver } = yield* hosts
      yield* receiver.run(Effect.gen(function*() {
        assert.strictEqual(yield* refusal({ timeToLive: 0 }), "InvalidAddress")
        assert.strictEqual(yield* refusal({ timeToLive: 256 }), "InvalidAddress")
        assert.strictEqual(yield* refusal({ interface: addressOf(first) }), "AddressNotAvailable")
      }))
    })))
})
