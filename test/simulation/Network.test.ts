import { assert, describe, it } from "@effect/vitest"
import { type ConnectionOptions, Icmp, Tcp, Udp } from "@strata/core"
import type { Middleware } from "@strata/core/device/Middleware"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, HostDown, type HostOptions, Network, Simulation } from "@strata/simulation"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Queue, Stream } from "effect"
import { AddressResolver } from "effect/net"
import { Dns } from "effect/net/Dns"
import { TestClock } from "effect/testing"
import { patterned, readAll } from "../support/transfer.ts"

const LATENCY = 5

const endpoint = (host: Host, port: number) => toInet(fromIpv4(host.addresses()[0]!), port)
const connect = (to: Host, options: ConnectionOptions = {}) =>
  Effect.flatMap(Tcp, (tcp) => tcp.connect({ ...options, remote: endpoint(to, 7) }))
const listen = (port = 7) => Effect.flatMap(Tcp, (tcp) => tcp.listen({ port }))

/** Accepts one connection after another and sends back what it reads. */
const echo = Effect.gen(function*() {
  const listener = yield* listen()
  const serve = Effect.gen(function*() {
    const connection = yield* listener.accept
    yield* Effect.forkScoped(
      Effect.ignore(
        Effect.forever(
          Effect.flatMap(connection.read, (chunks) => Effect.forEach(chunks, connection.write, { discard: true }))
        )
      )
    )
  })
  yield* Effect.forever(serve)
})

const ping = (from: Host, to: Host) =>
  from.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(to.addresses()[0]!))).pipe(
    Effect.map(({ roundTrip }) => roundTrip),
    Effect.orElseSucceed(() => undefined)
  )
const reaches = (from: Host, to: Host) => Effect.map(ping(from, to), (roundTrip) => roundTrip !== undefined)

const lanOf = Effect.fnUntraced(function*(names: ReadonlyArray<string>, boot?: HostOptions["boot"]) {
  const network = yield* Network
  const hosts = yield* Effect.forEach(names, (name) => network.host(name, { boot }))
  const lan = yield* network.lan(hosts, { conditions: { latency: Distribution.constant(LATENCY) } })
  return { lan, hosts }
})

const wired = Effect.fnUntraced(function*(
  options: Parameters<Network["Service"]["wire"]>[2] = {},
  boot?: HostOptions["boot"]
) {
  const network = yield* Network
  const client = yield* network.host("client")
  const server = yield* network.host("server", { boot })
  const wire = yield* network.wire(client, server, { latency: Distribution.constant(LATENCY), ...options })
  return { client, server, wire }
})

describe("a lan", () => {
  it.effect("lets all of its hosts talk to each other, and hosts join later", () =>
    Simulation.run(Effect.gen(function*() {
      const { hosts: [a, b], lan } = yield* lanOf(["a", "b"])
      const late = yield* (yield* Network).host("late")
      yield* lan.join(late)
      assert.deepStrictEqual(
        [...a!.addresses(), ...b!.addresses(), ...late.addresses()].map((address) => fromIpv4(address)),
        [0x0a80_0001, 0x0a80_0002, 0x0a80_0003]
      )
      for (const [from, to] of [[a!, b!], [a!, late], [late, b!]] as const) assert.isTrue(yield* reaches(from, to))
      assert.closeTo((yield* ping(late, a!))!, 2 * LATENCY, 0.001)
    })))

  it.effect("is partitioned into groups and heals", () =>
    Simulation.run(Effect.gen(function*() {
      const { hosts, lan } = yield* lanOf(["a", "b", "c", "d", "alone"])
      const [a, b, c, d, alone] = hosts as [Host, Host, Host, Host, Host]
      yield* lan.partition([a, b], [c, d])
      assert.isTrue(yield* reaches(a, b))
      assert.isTrue(yield* reaches(c, d))
      assert.isFalse(yield* reaches(a, c))
      assert.isFalse(yield* reaches(d, b))
      assert.isFalse(yield* reaches(alone, a))
      assert.isAbove((yield* lan.counters).restricted, 0)
      yield* lan.heal
      yield* Effect.sleep("10 seconds")
      for (const to of [b, c, d, alone]) assert.isTrue(yield* reaches(a, to))
    })))

  it.effect("loses a host that is cut off, until it is connected again, and its connections live", () =>
    Simulation.run(Effect.gen(function*() {
      const { hosts: [a, b, c] } = yield* lanOf(["a", "b", "c"], echo)
      const before = yield* Deferred.make<void>()
      const session = yield* a!.fork(Effect.gen(function*() {
        const connection = yield* connect(b!)
        yield* connection.write(Uint8Array.of(1))
        yield* connection.read
        yield* Deferred.succeed(before, undefined)
        yield* Effect.sleep("1 second")
        yield* connection.write(Uint8Array.of(2))
        const started = yield* Clock.currentTimeMillis
        assert.deepStrictEqual([...(yield* connection.read)[0]], [2])
        return (yield* Clock.currentTimeMillis) - started
      }))
      yield* Deferred.await(before)
      yield* b!.cutOff
      assert.isFalse(yield* reaches(a!, b!))
      assert.isFalse(yield* reaches(b!, c!))
      assert.isTrue(yield* reaches(a!, c!))
      yield* Effect.sleep("3 seconds")
      yield* b!.reconnect
      assert.isAtLeast(yield* Fiber.join(session), 2000)
      assert.isTrue(yield* reaches(c!, b!))
    })))

  it.effect("has conditions for each host, and counts what came of packets to it", () =>
    Simulation.run(Effect.gen(function*() {
      const { hosts: [a, b, c], lan } = yield* lanOf(["a", "b", "c"])
      yield* reaches(a!, b!)
      yield* lan.set({ latency: Distribution.constant(50) }, b)
      assert.closeTo((yield* ping(a!, b!))!, 50 + LATENCY, 0.001)
      yield* lan.set({ loss: Loss.bernoulli(1) }, b)
      const { lost } = yield* lan.portCounters(b!)
      assert.isFalse(yield* reaches(c!, b!))
      assert.isAbove((yield* lan.portCounters(b!)).lost, lost)
      assert.strictEqual((yield* lan.portCounters(c!)).lost, 0)
    })))
})

/** What a client reads from a server that writes a little and then `happens`. */
const endOf = (happens: (server: Host) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const { client, server } = yield* wired()
    const written = yield* Deferred.make<void>()
    yield* server.fork(Effect.gen(function*() {
      const connection = yield* (yield* listen()).accept
      yield* connection.write(patterned(3000, 1))
      yield* Deferred.succeed(written, undefined)
      yield* Effect.never
    }))
    const reading = yield* client.fork(Effect.gen(function*() {
      const connection = yield* connect(server)
      return [yield* readAll(connection), connection.state()] as const
    }))
    yield* Deferred.await(written)
    yield* happens(server)
    return yield* Fiber.await(reading).pipe(Effect.timeout("1 hour"))
  })

describe("a host", () => {
  it.effect("may have something between its stack and its devices, in every life", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      const passed = { sent: 0, received: 0, devices: 0 }
      const middleware: Middleware = (device) =>
        Effect.sync(() => {
          passed.devices++
          return {
            device: { ...device, transmit: (packet) => (passed.sent++, device.transmit(packet)) },
            attached: (attachment) => ({
              ...attachment,
              input: (packet) => {
                passed.received++
                attachment.input(packet)
              }
            })
          }
        })
      const [a, b] = [yield* network.host("a", { middleware }), yield* network.host("b")]
      const wire = yield* network.wire(a, b)
      assert.isTrue(yield* reaches(a, b))
      const { back, forth } = yield* wire.counters
      // What was sent before the other end was plugged in went nowhere.
      assert.isAtLeast(passed.sent, forth.offered)
      assert.isAbove(forth.offered, 0)
      assert.strictEqual(passed.received, back.delivered)
      assert.strictEqual(passed.devices, 1)
      yield* a.restart
      assert.strictEqual(passed.devices, 2)
    })))

  it.effect("says goodbye when it is stopped", () =>
    Simulation.run(Effect.gen(function*() {
      const exit = yield* endOf((server) => server.stop)
      assert.isTrue(Exit.isSuccess(exit))
      if (Exit.isFailure(exit)) return
      const [bytes, state] = exit.value
      assert.deepStrictEqual(bytes, Uint8Array.from(patterned(3000, 1)))
      assert.strictEqual(state, "CLOSE-WAIT")
    })))

  it.effect("says nothing when it crashes", () =>
    Simulation.run(Effect.gen(function*() {
      const error = yield* Effect.flip(endOf((server) => server.crash))
      assert.strictEqual(error._tag, "TimeoutError")
    })))

  it.effect("resets old connections when it is there again and knows nothing of them", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server } = yield* wired({}, echo)
      const error = yield* client.run(Effect.gen(function*() {
        const connection = yield* connect(server)
        yield* connection.write(Uint8Array.of(1))
        yield* connection.read
        yield* server.restart
        yield* connection.write(Uint8Array.of(2))
        return yield* Effect.flip(connection.read)
      }))
      assert.strictEqual(error._tag === "TcpError" ? error.reason._tag : error._tag, "ConnectionReset")
    })))

  it.effect("fails what runs on it with HostDown, in the middle", () =>
    Simulation.run(Effect.gen(function*() {
      const { server } = yield* wired()
      let isCleanedUp = false
      const running = yield* Effect.forkChild(
        server.run(Effect.never.pipe(Effect.onInterrupt(() =>
          Effect.sync(() => {
            isCleanedUp = true
          })
        )))
      )
      yield* Effect.sleep("1 second")
      yield* server.crash
      const exit = yield* Fiber.await(running)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof HostDown)
      assert.isTrue(isCleanedUp)
      assert.deepStrictEqual(yield* Effect.flip(server.fork(Effect.void)), new HostDown({ host: "server" }))
    })))

  it.effect("boots again with each start", () =>
    Simulation.run(Effect.gen(function*() {
      const boots = yield* Queue.unbounded<number>()
      const network = yield* Network
      const host = yield* network.host("host", {
        boot: Effect.flatMap(Clock.currentTimeMillis, (time) => Queue.offer(boots, time))
      })
      const first = yield* Queue.take(boots)
      yield* Effect.sleep("1 second")
      yield* host.restart
      assert.strictEqual((yield* Queue.take(boots)) - first, 1000)
      yield* host.stop
      assert.isFalse(host.isUp())
      yield* host.stop
      yield* Effect.sleep("1 second")
      yield* Effect.all([host.start, host.start], { concurrency: "unbounded" })
      assert.strictEqual((yield* Queue.take(boots)) - first, 2000)
      assert.strictEqual(yield* Queue.size(boots), 0)
    })))
})

describe("names", () => {
  it.effect("are known to all hosts, both ways", () =>
    Simulation.run(Effect.gen(function*() {
      const { hosts: [web, db] } = yield* lanOf(["web.example", "db"])
      yield* db!.run(Effect.gen(function*() {
        const dns = yield* Dns
        assert.deepStrictEqual(yield* dns.lookup("web.example", { family: "IPv4" }), [web!.addresses()[0]!])
        assert.deepStrictEqual([...yield* dns.reverse(web!.addresses()[0]!)], ["web.example" as never])
        const resolver = yield* AddressResolver.AddressResolver
        const [found] = yield* resolver.resolve({ host: "web.example", port: 80 }, { family: "IPv4" })
        assert.deepStrictEqual(found, endpoint(web!, 80))
        assert.strictEqual((yield* Effect.flip(dns.lookup("nobody", { family: "IPv4" })))._tag, "DnsError")
        assert.strictEqual((yield* Effect.flip(dns.reverse("192.0.2.1")))._tag, "DnsError")
      }))
    })))

  it.effect("that no host can have, or that one has, are refused", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      yield* network.host("a")
      for (const name of ["a", "two words", ""]) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(network.host(name))), name)
      }
    })))
})

/** The largest segment, in octets of text, of a transfer to a server that reads everything. */
const transfer = Effect.fnUntraced(function*(client: Host, server: Host, octets: number) {
  const received = yield* server.fork(Effect.gen(function*() {
    const connection = yield* (yield* listen()).accept
    return [yield* readAll(connection), connection.controlBlock().rcv.fullSize] as const
  }))
  yield* client.run(Effect.gen(function*() {
    const connection = yield* connect(server)
    yield* connection.write(patterned(octets, 1))
    yield* connection.closeWrite
    yield* connection.closed
  }))
  const [bytes, segment] = yield* Fiber.join(received)
  assert.deepStrictEqual(bytes, patterned(octets, 1))
  return segment
})

describe("a wire", () => {
  it.effect("has the MTU it is given, to which segments and datagrams are cut", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server, wire } = yield* wired({ deviceMtu: 600 })
      assert.strictEqual(yield* transfer(client, server, 20_000), 548)
      yield* Effect.sleep("1 second")
      const { forth } = yield* wire.counters
      const got = yield* server.fork(Effect.scoped(Effect.gen(function*() {
        const port = yield* (yield* Udp).bind({ port: 9 })
        return (yield* port.take)[0].payload
      })))
      yield* client.run(Effect.gen(function*() {
        yield* Effect.sleep(1)
        const port = yield* (yield* Udp).bind()
        yield* port.send(patterned(3000, 2), endpoint(server, 9))
      }))
      assert.deepStrictEqual(yield* Fiber.join(got), patterned(3000, 2))
      assert.strictEqual((yield* wire.counters).forth.offered - forth.offered, 6, "3,008 octets in fragments of 576")
    })))

  it.effect("drops in silence what is larger than the MTU of the path", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server, wire } = yield* wired({}, echo)
      yield* client.run(Effect.gen(function*() {
        // Who does not search for smaller segments does not get through.
        const connection = yield* connect(server, { settings: { pathMtuProbing: false } })
        yield* wire.set({ mtu: 1000 }, "forth")
        yield* connection.write(patterned(5000, 1))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(connection.read.pipe(Effect.timeout("20 seconds")))))
        assert.isAbove((yield* wire.counters).forth.tooBig, 2)
        yield* wire.set({ mtu: 1500 })
        yield* connection.read
      }))
    })))

  it.effect("changes while a transfer is under way", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server, wire } = yield* wired({ bandwidth: 1_000_000, queue: { packets: 20, octets: Infinity } })
      yield* Effect.forkChild(Effect.gen(function*() {
        yield* Effect.sleep(500)
        yield* wire.set({ loss: Loss.bernoulli(0.3) })
        yield* Effect.sleep("2 seconds")
        yield* wire.set({ loss: Loss.bernoulli(0), duplication: 0.2 })
        yield* Effect.sleep("2 seconds")
        yield* wire.partition
        yield* Effect.sleep("5 seconds")
        yield* wire.heal
        yield* wire.set({ duplication: 0, bandwidth: Infinity, latency: Distribution.uniform(0, 100) })
      }))
      const before = yield* Clock.currentTimeMillis
      yield* transfer(client, server, 400_000)
      assert.isAbove((yield* Clock.currentTimeMillis) - before, 3000)
      const { forth } = yield* wire.counters
      for (const happened of [forth.lost, forth.overflowed] as const) assert.isAbove(happened, 0)
      assert.strictEqual(
        forth.offered + forth.cut + forth.duplicated,
        forth.delivered + forth.inFlight + forth.lost + forth.blackholed + forth.overflowed + forth.tooBig
      )
    })))
})

describe("a network under TestClock", () => {
  it.effect("stands still until the clock is moved", () =>
    Effect.gen(function*() {
      const { client, server } = yield* wired({}, echo)
      const fiber = yield* Effect.forkChild(client.run(Effect.gen(function*() {
        const connection = yield* connect(server)
        yield* connection.write(Uint8Array.of(42))
        return (yield* connection.read)[0]
      })))
      // The server announces itself; the SYN goes and is answered; the question goes and is answered.
      for (let elapsed = 0; elapsed < 5 * LATENCY; elapsed++) {
        assert.isUndefined(fiber.pollUnsafe(), `at ${elapsed} ms`)
        yield* TestClock.adjust(1)
      }
      assert.deepStrictEqual(yield* Fiber.join(fiber), Uint8Array.of(42))
    }).pipe(Effect.provide(Network.layer({ seed: 1 }))))
})

describe("streams of sockets", () => {
  it.effect("end with the host that runs them", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, server } = yield* wired({}, echo)
      const fiber = yield* client.fork(Effect.gen(function*() {
        const connection = yield* connect(server)
        yield* Stream.runDrain(Stream.fromEffect(connection.read))
      }))
      yield* Effect.sleep("1 second")
      yield* client.crash
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit))
    })))
})
