import { assert, describe, it } from "@effect/vitest"
import { Icmp, Tcp, Udp } from "@strata/core"
import { toInet } from "@strata/core/wire/Address"
import { Distribution } from "@strata/drivers"
import { type Host, Network, Report, Simulation } from "@strata/simulation"
import { Deferred, Effect, Fiber, References } from "effect"

const LEFT = toInet(0x0a00_0001, 0).address
const SERVER = toInet(0x0a00_0002, 7)

const wired = Effect.gen(function*() {
  const network = yield* Network
  const left = yield* network.host("left")
  const right = yield* network.host("right")
  const wire = yield* network.wire(left, right, { latency: Distribution.constant(5) })
  return { left, right, wire, report: Report.describe(network) }
})

const accept = Effect.gen(function*() {
  const listener = yield* (yield* Tcp).listen({ port: 7, receiveBuffer: 4000 })
  return yield* listener.accept
})
const connect = Effect.flatMap(Tcp, (tcp) => tcp.connect({ remote: SERVER, sendBuffer: 10_000 }))

/** Without ports that chance has chosen, and without how far a buffer is filled. */
const anonymous = (text: string): string =>
  text.replaceAll(/:\d{5}\b/g, ":*****").replaceAll(/\b\d{4} octets (in|to)/g, "**** octets $1")

/** What is reported a second after a program was started on each host. */
const whileWaiting = (onLeft: Parameters<Host["fork"]>[0], onRight: Parameters<Host["fork"]>[0]) =>
  Simulation.run(Effect.gen(function*() {
    const { left, report, right } = yield* wired
    yield* right.fork(onRight as Effect.Effect<void, never, Tcp>)
    yield* left.fork(onLeft as Effect.Effect<void, never, Tcp>)
    yield* Effect.sleep("1 second")
    return anonymous(yield* report).split("\n")
  }))

describe("Report", () => {
  it.effect("tells who reads, and who writes to a peer that does not read", () =>
    Effect.gen(function*() {
      const lines = yield* whileWaiting(
        Effect.flatMap(connect, (connection) => connection.write(new Uint8Array(50_000))),
        Effect.andThen(accept, Effect.never)
      )
      assert.deepStrictEqual(lines, [
        "left is up, and waits:",
        "  writing to 10.0.0.2:7 (ESTABLISHED), **** octets in the send buffer, the peer's window 0",
        "  (10.0.0.1:***** to 10.0.0.2:7 is in ESTABLISHED, with **** octets to send and 0 to be read)",
        "right is up, and what runs on it does not wait for the network",
        "  (listens on 0.0.0.0:7)",
        "  (10.0.0.2:7 to 10.0.0.1:***** is in ESTABLISHED, with 0 octets to send and 4000 to be read)"
      ])
    }))

  it.effect("tells who connects, accepts, waits for a datagram, or pings", () =>
    Effect.gen(function*() {
      const lines = yield* Simulation.run(Effect.gen(function*() {
        const { left, report, right, wire } = yield* wired
        yield* right.fork(accept)
        yield* right.fork(Effect.flatMap(Udp, (udp) => Effect.flatMap(udp.bind({ port: 53 }), (port) => port.take)))
        yield* wire.partition
        yield* left.fork(connect)
        yield* right.fork(Effect.flatMap(Icmp, (icmp) => icmp.ping(LEFT, { timeout: "10 seconds" })))
        yield* Effect.sleep("1 second")
        return anonymous(yield* report).split("\n")
      }))
      assert.deepStrictEqual(lines, [
        "left is up, and waits:",
        "  connecting to 10.0.0.2:7",
        "  (10.0.0.1:***** to 10.0.0.2:7 is in SYN-SENT, with 0 octets to send and 0 to be read)",
        "right is up, and waits:",
        "  waiting to accept on 0.0.0.0:7",
        "  waiting for a datagram on udp 0.0.0.0:53",
        "  pinging 10.0.0.1",
        "  (listens on 0.0.0.0:7)"
      ])
    }))

  it.effect("forgets what is over, whichever way, and tells of hosts that are down", () =>
    Simulation.run(Effect.gen(function*() {
      const { left, report, right } = yield* wired
      yield* right.fork(Effect.andThen(accept, Effect.never))
      const ready = yield* Deferred.make<void>()
      const reading = yield* left.fork(Effect.gen(function*() {
        const connection = yield* connect
        yield* Deferred.succeed(ready, undefined)
        yield* Effect.timeoutOption(connection.read, 10)
        yield* Effect.forkChild(connection.closeWrite)
        yield* Effect.ignore(connection.read)
        yield* Effect.sleep("1 second")
      }))
      yield* Deferred.await(ready)
      yield* Effect.sleep(100)
      assert.match(yield* report, /^left is up, and waits:\n {2}reading from 10\.0\.0\.2:7/)
      yield* right.crash
      yield* Fiber.interrupt(reading)
      assert.match(yield* report, /^left is up, and nothing runs on it\n[^]*\nright is down$/)
    })))

  it.effect("tells of a boot that failed, which nobody waits for", () =>
    Simulation.run(Effect.gen(function*() {
      const network = yield* Network
      const host = yield* network.host("host", { boot: Effect.fail(new Error("no disk")) }).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      yield* Effect.sleep(1)
      assert.strictEqual(
        yield* Report.describe(network),
        "host is up, and nothing runs on it\n  its boot failed: no disk"
      )
      yield* host.crash
      assert.strictEqual(yield* Report.describe(network), "host is down")
    })))
})
