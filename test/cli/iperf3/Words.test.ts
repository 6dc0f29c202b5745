/**
 * The words of iperf3's protocol, and its numbers.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Iperf3Error } from "@strata/cli/iperf3/Iperf3Error"
import * as Parameters from "@strata/cli/iperf3/Parameters"
import { COOKIE_LENGTH, decodeCookie, encodeCookie, encodeJson, makeCookie } from "@strata/cli/iperf3/Protocol"
import * as Results from "@strata/cli/iperf3/Results"
import { since, Tally } from "@strata/cli/iperf3/Tally"
import { formatBytes, formatRate, parseRate, parseSize } from "@strata/cli/iperf3/Units"
import { Effect, Option, Schema } from "effect"
import { second } from "./network.ts"

/** The parameters that iperf3 3.12 sends for `-u -R -n 10K -l 1400 -P 2`, and those for all that it has for TCP. */
const UDP =
  `{"udp":true,"omit":0,"time":0,"num":10240,"blockcount":0,"parallel":2,"reverse":true,"len":1400,"bandwidth":1048576,"pacing_timer":1000,"client_version":"3.12"}`
const TCP =
  `{"tcp":true,"omit":3,"time":10,"num":0,"blockcount":0,"MSS":1000,"nodelay":true,"parallel":1,"bidirectional":true,"window":102400,"len":1000,"bandwidth":50000000,"pacing_timer":1000,"burst":3,"TOS":8,"title":"hello","extra_data":"foo","congestion":"reno","get_server_output":1,"repeating_payload":1,"zerocopy":1,"client_version":"3.12"}`

describe("a cookie", () => {
  it("has 36 characters and a NUL", () => {
    let next = 0
    const cookie = makeCookie((bound) => next++ % bound)
    assert.strictEqual(cookie, "abcdefghijklmnopqrstuvwxyz234567abcd")
    assert.strictEqual(encodeCookie(cookie).length, COOKIE_LENGTH)
    assert.strictEqual(decodeCookie(encodeCookie(cookie)), cookie)
  })

  it("is nothing else", () => {
    assert.isUndefined(decodeCookie(new Uint8Array(COOKIE_LENGTH)))
    assert.isUndefined(decodeCookie(new Uint8Array(COOKIE_LENGTH).fill(0x61)))
    assert.isUndefined(decodeCookie(encodeCookie("two words")))
  })
})

it("JSON has its length in octets in front", () => {
  assert.deepStrictEqual([...encodeJson("ü")], [0, 0, 0, 4, 0x22, 0xc3, 0xbc, 0x22])
})

describe("parameters", () => {
  it.effect("are those that iperf3 sends", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Parameters.decode(JSON.parse(UDP)), {
        ...second,
        protocol: "udp",
        direction: "reverse",
        time: 0,
        bytes: 10_240,
        parallel: 2,
        length: 1400,
        rate: 1_048_576
      })
      assert.deepStrictEqual(yield* Parameters.decode(JSON.parse(TCP)), {
        ...second,
        direction: "both",
        time: 10,
        omit: 3,
        segmentSize: 1000,
        noDelay: true,
        window: 102_400,
        length: 1000,
        rate: 50_000_000,
        burst: 3,
        title: "hello",
        extraData: "foo",
        congestion: "reno",
        getServerOutput: true,
        repeatingPayload: true
      })
    }))

  it("are sent as iperf3 sends them", () => {
    const udp = { ...second, protocol: "udp", direction: "reverse", time: 0, bytes: 10_240, parallel: 2 } as const
    assert.strictEqual(JSON.stringify(Parameters.encode({ ...udp, length: 1400, rate: 1_048_576 })), UDP)
  })

  it.effect("come back as they were sent", () =>
    Effect.gen(function*() {
      for (
        const changes of [{}, { direction: "both", counters64: true }, { blocks: 3, time: 0, noDelay: true }] as const
      ) {
        const sent = { ...second, length: 1000, ...changes }
        assert.deepStrictEqual(yield* Parameters.decode(JSON.parse(JSON.stringify(Parameters.encode(sent)))), sent)
      }
    }))

  it.effect("that are left out are as by default, and unknown ones do not matter", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Parameters.decode({ tcp: 1, novelty: [1] }), {
        ...second,
        time: 0,
        length: 131_072
      })
      assert.strictEqual((yield* Parameters.decode({ udp: true })).length, 1460)
    }))

  it.effect.each(
    [
      [null, "Malformed"],
      ["text", "Malformed"],
      [{ tcp: true, time: -1 }, "Malformed"],
      [{ tcp: true, len: "long" }, "Malformed"],
      [{ tcp: true, parallel: 0 }, "Refused"],
      [{ tcp: true, parallel: 1.5 }, "Refused"],
      [{ tcp: true, len: 1_048_577 }, "Refused"],
      [{ tcp: true, time: 5, num: 5 }, "Refused"],
      [{ tcp: true, window: 1e9 }, "Refused"],
      [{ tcp: true, MSS: 10_000 }, "Refused"],
      [{ tcp: true, omit: 601 }, "Refused"],
      [{ udp: true, len: 65_508 }, "Refused"],
      [{ sctp: true }, "Refused"]
    ] as const
  )("out of bounds are not taken: %j", ([json, reason]) =>
    Effect.gen(function*() {
      const error: Iperf3Error = yield* Effect.flip(Parameters.decode(json))
      assert.strictEqual(error.reason._tag, reason)
    }))
})

/** -1, as JSON has it that thinks it unsigned. */
const UNSIGNED = 2 ** 64

it.effect("results may lack what was divided by nothing, and count what is omitted apart", () =>
  Effect.gen(function*() {
    const stream = { id: 3, bytes: 5, retransmits: UNSIGNED, jitter: null, errors: 7, packets: 50 }
    const results = yield* Results.decode({
      cpu_util_total: null,
      cpu_util_user: 0,
      cpu_util_system: 0,
      sender_has_retransmits: UNSIGNED,
      streams: [{ ...stream, omitted_errors: 2, omitted_packets: 10 }]
    })
    const told = Results.ofStream(results, 3)!
    assert.deepStrictEqual([told.jitter, told.errors, told.packets], [0, 5, 40])
    assert.isUndefined(Results.ofStream(results, 1))
    assert.strictEqual((yield* Effect.flip(Results.decode({ streams: [] }))).reason._tag, "Malformed")
  }))

const orders = Schema.Array(Schema.Int)

describe("the tally of a stream", () => {
  it("knows what is missing, and what comes after all", () => {
    const tally = new Tally()
    for (const number of [1, 2, 5, 4, 6, 9]) tally.datagram(100, number, 0, 0)
    assert.deepStrictEqual(
      { bytes: tally.bytes, highest: tally.highest, lost: tally.lost, outOfOrder: tally.outOfOrder },
      { bytes: 600, highest: 9, lost: 3, outOfOrder: 1 }
    )
  })

  it.prop("has as lost what did not come, whatever the order", [orders], ([keys]) => {
    const tally = new Tally()
    // The places of the keys in order of size are an order of as many numbers; every third one does not come.
    const order = keys.map((key, index) => [key, index + 1] as const).toSorted(([a], [b]) => a - b)
    const numbers = order.map(([, number]) => number).filter((number) => number % 3 !== 0)
    for (const number of numbers) tally.datagram(10, number, 0, 0)
    assert.strictEqual(tally.highest, Math.max(0, ...numbers))
    assert.strictEqual(tally.lost, tally.highest - numbers.length)
  })

  it("smooths the jitter as RFC 3550 does, from clocks that need not agree", () => {
    const tally = new Tally()
    tally.datagram(10, 1, 1000, 5)
    assert.strictEqual(tally.jitter, 0)
    tally.datagram(10, 2, 1010, 31)
    assert.strictEqual(tally.jitter, 1)
    tally.datagram(10, 3, 1020, 25)
    assert.strictEqual(tally.jitter, 1 + (16 - 1) / 16)
  })

  it("tells what came since", () => {
    const tally = new Tally()
    tally.datagram(10, 1, 0, 0)
    const before = tally.read()
    tally.datagram(10, 4, 0, 0)
    assert.deepStrictEqual(since(tally.read(), before), {
      bytes: 10,
      blocks: 1,
      highest: 3,
      lost: 2,
      outOfOrder: 0,
      jitter: 0
    })
  })
})

describe("numbers", () => {
  it.each(
    [
      [0, "0.00 Bytes"],
      [1023, "1023 Bytes"],
      [1024, "1.00 KBytes"],
      [11_200, "10.9 KBytes"],
      [917_504, " 896 KBytes"],
      [1_048_576, "1.00 MBytes"],
      [5.28 * 1024 ** 3, "5.28 GBytes"],
      [2000 * 1024 ** 4, "2000 TBytes"]
    ] as const
  )("%d bytes", (bytes, text) => assert.strictEqual(formatBytes(bytes), text))

  it.each(
    [
      [0, undefined, "0.00 bits/sec"],
      [131_072, undefined, "1.05 Mbits/sec"],
      [1_310_720, "k", "10486 Kbits/sec"],
      [131_072, "M", "0.13 MBytes/sec"],
      [2.8e9, undefined, "22.4 Gbits/sec"],
      [2.8e9, "t", "0.02 Tbits/sec"]
    ] as const
  )("%d bytes per second", (rate, unit, text) => assert.strictEqual(formatRate(rate, unit), text))

  it.each(
    [
      ["10", 10, 10],
      ["1K", 1024, 1000],
      ["1.5m", 1_572_864, 1_500_000],
      ["2G", 2 * 1024 ** 3, 2e9],
      ["M", undefined, undefined],
      ["10 M", undefined, undefined],
      ["-1", undefined, undefined]
    ] as const
  )("%s is read", (text, size, rate) => {
    assert.strictEqual(Option.getOrUndefined(parseSize(text)), size)
    assert.strictEqual(Option.getOrUndefined(parseRate(text)), rate)
  })
})
