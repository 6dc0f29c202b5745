/**
 * The words of ping, with an ICMP that answers as the test says.
 */
import { describe, expect, it } from "@effect/vitest"
import { pings } from "@strata/cli/commands/ping"
import { Icmp, PingError, PingNotSent, PingTimedOut, PingUnreachable } from "@strata/core/ip/Icmp"
import { Clock, Effect, Fiber } from "effect"
import { NetAddress } from "effect/net"
import { TestClock } from "effect/testing"

const destination = NetAddress.ipFromStringUnsafe("192.0.2.1") as NetAddress.Ipv4Address
const router = NetAddress.ipFromStringUnsafe("192.0.2.254") as NetAddress.Ipv4Address

/** Round-trip times in milliseconds, or errors, in the order of the requests. */
type Answer = number | PingError["reason"]

const run = Effect.fnUntraced(function*(
  answers: ReadonlyArray<Answer>,
  options: {
    readonly count?: number
    readonly interval?: number
    readonly stopAfter?: number
    readonly source?: NetAddress.Ipv4Address
  } = {}
) {
  const printed: Array<string> = []
  const sent: Array<{ readonly length: number; readonly sequence: number; readonly at: number }> = []
  const sources: Array<NetAddress.Ipv4Address | undefined> = []
  const icmp = Icmp.of({
    input: () => {},
    ping: Effect.fnUntraced(function*(address, request) {
      const answer = answers[sent.length] ?? new PingTimedOut()
      sources.push(request?.source)
      sent.push({
        length: request?.payload?.length ?? 0,
        sequence: request?.sequence ?? 0,
        at: yield* Clock.currentTimeMillis
      })
      if (typeof answer !== "number") return yield* new PingError({ reason: answer })
      yield* Effect.sleep(answer)
      const length = (request?.payload?.length ?? 0) + 8
      return { address, length, identifier: 1, sequence: request?.sequence ?? 0, timeToLive: 64, roundTrip: answer }
    })
  })
  const fiber = yield* pings(
    {
      destination,
      source: options.source,
      count: options.count ?? answers.length,
      interval: options.interval ?? 1,
      size: 56,
      timeout: 4
    },
    (line) => Effect.sync(() => printed.push(line))
  ).pipe(Effect.provideService(Icmp, icmp), Effect.forkChild)
  yield* TestClock.adjust(options.stopAfter ?? 100_000)
  if (options.stopAfter !== undefined) yield* Fiber.interrupt(fiber)
  const exit = yield* Fiber.await(fiber)
  return { printed, sent, sources, exit }
})

describe("ping", () => {
  it.effect("sends from the address it is told to, and says so as iputils does", () =>
    Effect.gen(function*() {
      const source = NetAddress.ipFromStringUnsafe("192.0.2.2") as NetAddress.Ipv4Address
      const { printed, sources } = yield* run([1, 1], { source })
      expect(printed[0]).toBe("PING 192.0.2.1 (192.0.2.1) from 192.0.2.2 : 56(84) bytes of data.")
      expect(sources).toEqual([source, source])
    }))

  it.effect("prints replies and statistics as iputils does", () =>
    Effect.gen(function*() {
      const { printed, sent } = yield* run([0.66, 12.345, 150])
      expect(printed).toEqual([
        "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.",
        "64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.660 ms",
        "64 bytes from 192.0.2.1: icmp_seq=2 ttl=64 time=12.3 ms",
        "64 bytes from 192.0.2.1: icmp_seq=3 ttl=64 time=150 ms",
        "",
        "--- 192.0.2.1 ping statistics ---",
        "3 packets transmitted, 3 received, 0% packet loss, time 2000ms",
        "rtt min/avg/max/mdev = 0.660/54.335/150.000/67.813 ms"
      ])
      expect(sent).toEqual([0, 1, 2].map((n) => ({ length: 56, sequence: n + 1, at: n * 1000 })))
    }))

  it.effect("counts what is lost, and tells what was reported", () =>
    Effect.gen(function*() {
      const { printed } = yield* run([
        1,
        new PingTimedOut(),
        new PingUnreachable({ kind: "hostUnreachable", reporter: router }),
        new PingNotSent({ why: "there is no route to 192.0.2.1" })
      ])
      expect(printed.slice(2)).toEqual([
        "From 192.0.2.254 icmp_seq=3 Destination Host Unreachable",
        "icmp_seq=4 not sent: there is no route to 192.0.2.1",
        "",
        "--- 192.0.2.1 ping statistics ---",
        "4 packets transmitted, 1 received, +2 errors, 75% packet loss, time 3000ms",
        "rtt min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms"
      ])
    }))

  it.effect("does not wait for one reply before it sends the next request", () =>
    Effect.gen(function*() {
      const { printed, sent } = yield* run([2500, 10], { interval: 1 })
      expect(sent.map(({ at }) => at)).toEqual([0, 1000])
      expect(printed[1]).toContain("icmp_seq=2")
      expect(printed[2]).toContain("icmp_seq=1")
    }))

  it.effect("sends as replies come with an interval of 0", () =>
    Effect.gen(function*() {
      const { sent } = yield* run([5, 7, 9], { interval: 0 })
      expect(sent.map(({ at }) => at)).toEqual([0, 5, 12])
    }))

  it.effect("prints the statistics when it is interrupted", () =>
    Effect.gen(function*() {
      const { exit, printed } = yield* run([1, 1, 1, 1, 1], { count: Infinity, stopAfter: 2500 })
      expect(printed.at(-2)).toBe("3 packets transmitted, 3 received, 0% packet loss, time 2000ms")
      expect(exit._tag).toBe("Failure")
    }))

  it.effect("goes on past the end of the 16-bit sequence number", () =>
    Effect.gen(function*() {
      const { printed, sent } = yield* run(Array.from({ length: 65_537 }, () => 0), { interval: 0 })
      expect(sent.at(-1)?.sequence).toBe(1)
      expect(printed.at(-5)).toContain("icmp_seq=65537")
    }))
})
