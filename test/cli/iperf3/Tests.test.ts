/**
 * Whole tests of iperf3's kind between two stacks, in virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Client from "@strata/cli/iperf3/Client"
import type { Iperf3Error } from "@strata/cli/iperf3/Iperf3Error"
import { encodeCookie, encodeJson, makeCookie, State } from "@strata/cli/iperf3/Protocol"
import * as Report from "@strata/cli/iperf3/Report"
import { Tcp } from "@strata/core"
import { Loss } from "@strata/drivers"
import { Cause, Effect, Exit, Fiber } from "effect"
import { endOf, failures, intervals, type Pair, PATH, second, withServer } from "./network.ts"

/** Octets per second of the path. */
const RATE = 10e6 / 8

const reasonOf = (exit: Exit.Exit<void, unknown>): string => {
  assert.isTrue(Exit.isFailure(exit))
  return (Cause.squash((exit as Exit.Failure<void, unknown>).cause) as Iperf3Error).reason._tag
}

/** What a client's only stream, or all of them, sent and received. */
const sums = (told: Parameters<typeof endOf>[0]) => {
  const { streams } = endOf(told)
  return {
    sent: streams.reduce((sum, { sender }) => sum + (sender?.bytes ?? NaN), 0),
    received: streams.reduce((sum, { receiver }) => sum + (receiver?.bytes ?? NaN), 0)
  }
}

describe("iperf3 over TCP", () => {
  it.effect("measures what the path carries, and both sides tell the same", () =>
    withServer(({ measure, served }) =>
      Effect.gen(function*() {
        const { exit, told } = yield* measure({ time: 3 })
        assert.isTrue(Exit.isSuccess(exit))
        const { received, sent } = sums(told)
        assert.isAtMost(received, 3.2 * RATE)
        assert.isAtLeast(received, 2 * RATE)
        assert.isAtLeast(sent, received)
        const [stream] = endOf(told).streams
        assert.strictEqual(stream!.receiver!.bytes, endOf(served).streams[0]!.receiver!.bytes)
        assert.strictEqual(endOf(told).congestion.sender, "cubic")
        assert.strictEqual(endOf(told).congestion.receiver, "cubic")
        assert.deepStrictEqual(
          intervals(told).map(({ end, start }) => `${start.toFixed(3)}-${end.toFixed(3)}`),
          ["0.000-1.000", "1.000-2.000", "2.000-3.000"]
        )
        const counted = intervals(told).reduce((sum, { samples }) => sum + samples[0]!.totals.bytes, 0)
        assert.strictEqual(counted, sent)
      })
    ))

  it.effect("counts retransmissions where segments are lost", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ time: 3, direction: "reverse" })
        const [stream] = endOf(told).streams
        assert.isAbove(stream!.sender!.retransmits!, 0)
        assert.isUndefined(stream!.receiver!.retransmits)
      }), { path: { ...PATH, loss: Loss.bernoulli(0.01) } }))

  it.effect("lets the server send in reverse, over several streams", () =>
    withServer(({ measure, served }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ direction: "reverse", parallel: 3, time: 2 })
        const { streams } = endOf(told)
        assert.deepStrictEqual(streams.map(({ stream }) => [stream.socket, stream.sends]), [[5, false], [7, false], [
          9,
          false
        ]])
        for (const { receiver, sender } of streams) {
          assert.isAbove(receiver!.bytes, 0)
          assert.isAtLeast(sender!.bytes, receiver!.bytes)
        }
        assert.isTrue(endOf(served).streams.every(({ stream }) => stream.sends))
      })
    ))

  it.effect("sends both ways at once", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ direction: "both", time: 2 })
        const { streams } = endOf(told)
        assert.deepStrictEqual(streams.map(({ stream }) => stream.sends), [true, false])
        for (const { receiver } of streams) assert.isAbove(receiver!.bytes, 0.6 * RATE)
      })
    ))

  it.effect.each(["forward", "reverse"] as const)(
    "ends after so many octets: %s",
    (direction) =>
      withServer(({ measure }) =>
        Effect.gen(function*() {
          const { told } = yield* measure({ direction, time: 0, bytes: 3_000_000 })
          const { received, sent } = sums(told)
          assert.isAtLeast(received, 3_000_000)
          assert.isAtLeast(sent, received)
          if (direction === "forward") assert.strictEqual(sent, 23 * 131_072)
          if (direction === "forward") assert.strictEqual(received, sent)
        })
      )
  )

  it.effect("ends after so many blocks", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ time: 0, blocks: 7, length: 10_000, parallel: 2 })
        assert.deepStrictEqual(sums(told), { sent: 70_000, received: 70_000 })
      })
    ))

  it.effect("keeps to a rate", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ rate: 8e6, length: 10_000, time: 4 })
        const { sent } = sums(told)
        assert.isAtLeast(sent, 3_990_000)
        assert.isAtMost(sent, 4_010_000)
      })
    ))

  it.effect("does not count what is omitted, and marks it", () =>
    withServer(({ measure, served }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ time: 2, omit: 1.5, rate: 8e6, length: 10_000 })
        for (const events of [told, served]) {
          assert.deepStrictEqual(
            intervals(events).slice(0, 4).map(({ omitted, start }) => [omitted, Math.round(start)]),
            [[true, 0], [true, 1], [false, 0], [false, 1]]
          )
        }
        const { received, sent } = sums(told)
        assert.isAtMost(Math.abs(sent - 2_000_000), 20_000)
        assert.isAtMost(Math.abs(received - 2_000_000), 40_000)
      })
    ))

  it.effect("takes the congestion control, the segment size and the buffers that the client asks for", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const asked = { congestion: "reno", segmentSize: 600, window: 65_536, noDelay: true }
        const { told } = yield* measure({ ...asked, direction: "reverse" })
        assert.deepStrictEqual(endOf(told).congestion, { sender: "reno", receiver: "reno" })
        // A window of 64 KiB in a round trip of 10 ms and some, when it is not congested.
        assert.isAtMost(sums(told).received, 6_600_000)
        const { told: free } = yield* measure({ time: 0, bytes: 100_000 })
        assert.strictEqual(endOf(free).congestion.sender, "cubic")
      }), { path: { ...PATH, bandwidth: 1e8 } }))

  it.effect("gives the client the server's report", () =>
    withServer(({ measure, served }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ getServerOutput: true })
        const text = endOf(told).serverOutput?.text
        assert.strictEqual(text, Report.text(served.slice(1).filter((event) => event._tag !== "Listening")))
        assert.match(text!, /^Accepted connection from .*\n\[ {2}5\] local .*\n.*\n.* receiver\n$/s)
      })
    ))
})

describe("iperf3 over UDP", () => {
  it.effect("sends a megabit per second in datagrams that fit, of which nothing is lost", () =>
    withServer(({ measure, served }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ protocol: "udp", rate: 1_048_576, time: 4 })
        const [stream] = endOf(told).streams
        assert.strictEqual(stream!.sender!.bytes / stream!.sender!.packets, 1448)
        assert.isAtMost(Math.abs(stream!.sender!.bytes - 524_288), 1448)
        const { jitter, lost, packets } = endOf(served).streams[0]!.receiver!
        assert.isAtLeast(packets, stream!.sender!.packets - 1)
        assert.deepStrictEqual({ jitter, lost, packets }, {
          jitter: stream!.receiver!.jitter,
          lost: 0,
          packets: stream!.receiver!.packets
        })
      })
    ))

  it.effect.each([false, true])(
    "counts what is lost and what comes late, with numbers of 64 bits: %s",
    (counters64) =>
      withServer(({ measure }) =>
        Effect.gen(function*() {
          const { told } = yield* measure({ protocol: "udp", rate: 5e6, length: 500, time: 4, counters64 })
          const { lost, packets } = endOf(told).streams[0]!.receiver!
          assert.isAtLeast(packets, 4950)
          assert.isAtLeast(lost / packets, 0.07)
          assert.isAtMost(lost / packets, 0.13)
        }), { path: { ...PATH, loss: Loss.bernoulli(0.1), latency: { _tag: "Uniform", minimum: 4, maximum: 6 } } })
  )

  it.effect("measures the jitter of the path", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ protocol: "udp", rate: 1e6, length: 500, time: 4 })
        // The mean difference of two values between 4 and 10 is 2.
        const { jitter } = endOf(told).streams[0]!.receiver!
        assert.isAtLeast(jitter, 1)
        assert.isAtMost(jitter, 3)
      }), { path: { ...PATH, latency: { _tag: "Uniform", minimum: 4, maximum: 10 } } }))

  it.effect("lets the server send, on several streams, and both sides at once", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const asked = { protocol: "udp", rate: 2e6, length: 1000, parallel: 2, time: 2 } as const
        for (const direction of ["reverse", "both"] as const) {
          const { told } = yield* measure({ ...asked, direction })
          const { streams } = endOf(told)
          assert.strictEqual(streams.length, direction === "both" ? 4 : 2)
          for (const { receiver } of streams) {
            assert.isAtMost(Math.abs(receiver!.bytes - 500_000), 20_000)
            assert.strictEqual(receiver!.lost, 0)
          }
        }
      })
    ))

  it.effect("without a bound fills the path, and knows what did not fit", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ protocol: "udp", time: 0.05, length: 1000 })
        const { receiver, sender } = endOf(told).streams[0]!
        assert.isAbove(sender!.bytes, receiver!.bytes)
        assert.isAtLeast(receiver!.bytes, 100_000)
        assert.isAbove(receiver!.lost, 0)
        assert.isAtMost(receiver!.lost + receiver!.bytes / 1000, sender!.packets)
      }), { path: { ...PATH, queue: { packets: 100, octets: Infinity } } }))

  it.effect("ends after so many datagrams, and omits", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { told } = yield* measure({ protocol: "udp", rate: 1e6, length: 1000, time: 0, blocks: 200, omit: 1 })
        const { receiver, sender } = endOf(told).streams[0]!
        assert.strictEqual(sender!.packets, 200)
        assert.isAtMost(Math.abs(receiver!.packets - 200), 2)
        assert.strictEqual(receiver!.lost, 0)
      })
    ))

  it.effect("opens a stream again when its first datagram is lost", () =>
    withServer(({ measure }) =>
      Effect.gen(function*() {
        const { exit, told } = yield* measure({ protocol: "udp", rate: 1e6, length: 1000 })
        assert.isTrue(Exit.isSuccess(exit))
        assert.isAbove(endOf(told).streams[0]!.receiver!.bytes, 100_000)
      }), { path: { ...PATH, forth: { loss: firstUdp() } } }))
})

/** Loses the first packet of UDP. */
const firstUdp = () => {
  let lost = false
  return Loss.matching((packet) => {
    const hit = !lost && packet.udp !== undefined
    lost ||= hit
    return hit
  })
}

/** Connects to the server's port and says that; what is answered until the server closes. */
const say = ({ onClient, remote }: Pair, bytes: Uint8Array) =>
  onClient(Effect.scoped(Effect.gen(function*() {
    const connection = yield* (yield* Tcp).connect({ remote })
    yield* connection.write(bytes)
    const heard: Array<number> = []
    yield* Effect.ignore(Effect.forever(Effect.map(connection.read, (chunks) => {
      for (const chunk of chunks) heard.push(...chunk)
    })))
    return heard
  })))

const joined = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(parts))
const cookie = encodeCookie(makeCookie(() => 3))

describe("a server of iperf3", () => {
  it.effect("tells others that it is busy, and serves the next one afterwards", () =>
    withServer((pair) =>
      Effect.gen(function*() {
        const { measure, served } = pair
        const first = yield* Effect.forkChild(measure({ time: 3 }))
        yield* Effect.sleep(1000)
        assert.strictEqual(reasonOf((yield* measure({})).exit), "Busy")
        assert.isTrue(Exit.isSuccess((yield* Fiber.join(first)).exit))
        assert.isTrue(Exit.isSuccess((yield* measure({})).exit))
        assert.deepStrictEqual(failures(served), [])
        assert.deepStrictEqual(
          served.flatMap((event) => event._tag === "Listening" ? [event.test] : []),
          [1, 2, 3]
        )
      })
    ))

  it.effect("ends a test that its client ends, both tell what was measured, and it goes on", () =>
    withServer(({ measure, onClient, remote, served }) =>
      Effect.gen(function*() {
        const told: Array<Parameters<typeof endOf>[0][number]> = []
        const running = yield* Effect.forkChild(onClient(Client.run({
          remote,
          parameters: { ...second, time: 100, length: 0 },
          interval: 1,
          emit: (event) => Effect.sync(() => void told.push(event))
        })))
        yield* Effect.sleep(2500)
        yield* Fiber.interrupt(running)
        // The last word is behind what was sent before.
        yield* Effect.sleep(1000)
        assert.deepStrictEqual(failures(served), ["the client has terminated"])
        assert.isAbove(endOf(told).streams[0]!.sender!.bytes, 0)
        assert.isAbove(endOf(served).streams[0]!.receiver!.bytes, 0)
        assert.isTrue(Exit.isSuccess((yield* measure({})).exit))
      })
    ))

  it.effect("gives up a client that is cut off, and serves it again when it is back", () =>
    withServer(({ link, measure, served }) =>
      Effect.gen(function*() {
        const cut = yield* Effect.forkChild(measure({ time: 5 }))
        yield* Effect.sleep(2000)
        yield* link.partition
        yield* Effect.sleep(60_000)
        assert.deepStrictEqual(failures(served), ["the end of the test took too long"])
        assert.isAbove(endOf(served).streams[0]!.receiver!.bytes, 0)
        yield* link.heal
        const { exit, told } = yield* Fiber.join(cut)
        assert.include(["TimedOut", "Vanished", "ServerFailed"], reasonOf(exit))
        assert.isAbove(endOf(told).streams[0]!.sender!.bytes, 0)
        assert.isTrue(Exit.isSuccess((yield* measure({})).exit))
      })
    ))

  it.effect("lets in nobody without a proper cookie, and waits for none for ever", () =>
    withServer((pair) =>
      Effect.gen(function*() {
        const page = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n")
        assert.deepStrictEqual(yield* say(pair, page), [])
        assert.deepStrictEqual(yield* say(pair, page.subarray(0, 5)), [])
        assert.isTrue(Exit.isSuccess((yield* pair.measure({})).exit))
      })
    ))

  it.effect.each(
    [
      ["a length without end", Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
      ["no JSON", joined(Uint8Array.of(0, 0, 0, 2), new TextEncoder().encode("{]"))],
      ["JSON of another kind", encodeJson([1, 2])],
      ["SCTP", encodeJson({ sctp: true })],
      ["too many streams", encodeJson({ tcp: true, parallel: 129 })],
      ["a time without end", encodeJson({ tcp: true, time: 1e9 })],
      ["datagrams too small", encodeJson({ udp: true, len: 8 })],
      ["an unknown congestion control", encodeJson({ tcp: true, time: 1, congestion: "vegas" })]
    ] as const
  )("refuses %s, says so, and goes on", ([, parameters]) =>
    withServer((pair) =>
      Effect.gen(function*() {
        const heard = yield* say(pair, joined(cookie, parameters))
        assert.deepStrictEqual(heard.slice(0, 2), [State.paramExchange, 0xfe])
        assert.strictEqual(failures(pair.served).length, 1)
        assert.isTrue(Exit.isSuccess((yield* pair.measure({})).exit))
      })
    ))

  it.effect("gives up a client that falls silent before its streams are there", () =>
    withServer((pair) =>
      Effect.gen(function*() {
        const parameters = encodeJson({ tcp: true, time: 1, parallel: 2 })
        const silent = yield* Effect.forkChild(pair.onClient(Effect.scoped(Effect.gen(function*() {
          const connection = yield* (yield* Tcp).connect({ remote: pair.remote })
          yield* connection.write(joined(cookie, parameters))
          yield* Effect.never
        }))))
        yield* Effect.sleep(40_000)
        assert.deepStrictEqual(failures(pair.served), ["opening the streams took too long"])
        assert.isTrue(Exit.isSuccess((yield* pair.measure({})).exit))
        yield* Fiber.interrupt(silent)
      })
    ))
})
