import { describe, expect, it } from "@effect/vitest"
import { format } from "@strata/core/tcp/FormatTcpInfo"
import { Reno } from "@strata/core/tcp/Reno"
import type { TcpInfo } from "@strata/core/tcp/TcpInfo"
import { Distribution, Faults } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { bytes, connected, inet, pair, readAll, RIGHT, text, virtually } from "../../support/tcpHosts.ts"

const MSS = 1448
const latency = Distribution.constant(10)

/** Two hosts that know each other, 20 ms there and back. */
const far = Effect.gen(function*() {
  const hosts = yield* pair({ left: { outbound: { latency }, inbound: { latency } } })
  yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 1) }))
  return hosts
})

describe("what is known about a connection", () => {
  it(
    "after the handshake: ends, options, sizes, windows",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* far)
      const info = client.info()
      expect([text(info.local), text(info.remote)]).toEqual([text(client.local), text(client.remote)])
      expect(info).toMatchObject({
        state: "ESTABLISHED",
        phase: "open",
        options: { timestamps: true, selectiveAcknowledgement: true, explicitCongestionNotification: false },
        congestion: { algorithm: "cubic", stage: "slow start", window: 10 * MSS, slowStartThreshold: Infinity },
        segmentSize: { send: MSS, announced: 1460, pathMtu: 1500 },
        sending: { queued: 0, unsent: 0, unacknowledged: 0, inFlight: 0, lost: 0 },
        time: { busy: 0, sinceSent: undefined, sinceReceived: undefined, sinceAcknowledged: 10 },
        // SYN and ACK; SYN,ACK
        traffic: { segmentsSent: 2, segmentsReceived: 1, textSegmentsSent: 0, octetsSent: 0 }
      })
      expect(info.roundTrip).toMatchObject({ smoothed: 20, latest: 20, minimum: 20, variance: 10, backOff: 0 })
      expect(info.options.windowScale).toEqual(server.info().options.windowScale)
    }))
  )

  it(
    "while text is on its way, and when it has arrived",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* far)
      yield* Effect.sleep("5 seconds")
      yield* client.write(new Uint8Array(12 * MSS))
      yield* Effect.sleep("5 millis")
      const { delivery, sending, time, traffic } = client.info()
      expect(sending).toMatchObject({
        queued: 12 * MSS,
        unsent: 2 * MSS,
        unacknowledged: 10 * MSS,
        inFlight: 10 * MSS,
        capacity: 262_144
      })
      expect(time).toMatchObject({ busy: 5, sinceSent: 5, sinceAcknowledged: 5015 })
      expect(traffic).toMatchObject({ octetsSent: 10 * MSS, octetsAcknowledged: 0, textSegmentsSent: 10 })
      expect(delivery).toMatchObject({ delivered: 0, rate: undefined })

      yield* Effect.sleep("1 second")
      const sent = client.info()
      expect(sent.sending).toMatchObject({ queued: 0, unacknowledged: 0, inFlight: 0 })
      expect(sent.delivery.delivered).toBe(12 * MSS)
      expect(sent.traffic).toMatchObject({ octetsSent: 12 * MSS, octetsAcknowledged: 12 * MSS, textSegmentsSent: 12 })
      const received = server.info()
      expect(received.receiving.queued).toBe(12 * MSS)
      expect(received.traffic).toMatchObject({ octetsReceived: 12 * MSS, textSegmentsReceived: 12, octetsSent: 0 })
      expect(received.segmentSize.receive).toBe(MSS)
      expect(received.time.busy).toBe(0)
      // On the wire, windows are rounded up to their scale.
      expect(sent.sending.window - received.receiving.window).toBeGreaterThanOrEqual(0)
      expect(sent.sending.window - received.receiving.window).toBeLessThan(1024)
    }))
  )

  it(
    "how fast the network delivers, and whether it was the program that was slow",
    virtually(Effect.gen(function*() {
      const bandwidth = 1e6
      const hosts = yield* pair({ left: { outbound: { latency, bandwidth }, inbound: { latency } } })
      const { client, server } = yield* connected(hosts)
      const reading = yield* Effect.forkChild(readAll(server))
      for (const message of ["hello", "hello again"]) {
        yield* client.write(bytes(message))
        yield* Effect.sleep("1 second")
      }
      expect(client.info().delivery.applicationLimited).toBe(true)
      yield* client.write(new Uint8Array(200_000))
      yield* Effect.sleep("1 second")
      const { delivery } = client.info()
      // 125,000 octets a second, less what headers take.
      expect(delivery.rate).toBeGreaterThan(116_000)
      expect(delivery.rate).toBeLessThan(125_000)
      expect(delivery.applicationLimited).toBe(false)
      yield* client.close
      yield* Fiber.join(reading)
    }))
  )

  it(
    "what is missing",
    virtually(Effect.gen(function*() {
      let place = 0
      const faults: Faults.Faults = (_, decoded) =>
        (decoded().tcp?.length ?? 0) > 0 && ++place === 3 ? [Faults.lose] : []
      const hosts = yield* pair({ left: { outbound: { latency, faults }, inbound: { latency } } })
      const { client, server } = yield* connected(hosts, { client: { congestion: Reno } })
      yield* client.write(new Uint8Array(10 * MSS))
      yield* Effect.sleep("25 millis")
      const repairing = client.info()
      expect(repairing.phase).toBe("recovery")
      expect(repairing.sending).toMatchObject({
        unacknowledged: 8 * MSS,
        selectivelyAcknowledged: 7 * MSS,
        inFlight: MSS,
        lost: 0
      })
      expect(server.info().receiving).toMatchObject({ queued: 2 * MSS, outOfOrder: 7 * MSS })
      yield* Effect.sleep("1 second")
      const repaired = client.info()
      expect(repaired).toMatchObject({
        phase: "open",
        counts: { retransmitted: 1, retransmittedOctets: MSS, sackRecoveries: 1, timeouts: 0, lostOctets: MSS },
        congestion: { algorithm: "reno", stage: "congestion avoidance" },
        traffic: { octetsSent: 11 * MSS, octetsAcknowledged: 10 * MSS }
      })
    }))
  )
})

describe("what keeps a sender from going faster", () => {
  /** Writes for a while and gives the times. */
  const times = Effect.fnUntraced(function*(options: {
    readonly sendBuffer?: number
    readonly receiveBuffer?: number
    readonly bandwidth?: number
    readonly slowReader?: boolean
  }) {
    const { bandwidth = Infinity, receiveBuffer, sendBuffer, slowReader = false } = options
    const hosts = yield* pair({ left: { outbound: { latency, bandwidth }, inbound: { latency } } })
    const { client, server } = yield* connected(hosts, {
      client: { ...(sendBuffer && { sendBuffer }), settings: { minimumRetransmissionTimeout: 1000 } },
      server: { ...(receiveBuffer && { receiveBuffer }) }
    })
    if (!slowReader) yield* Effect.forkChild(readAll(server))
    const writing = yield* Effect.forkChild(client.write(new Uint8Array(100_000_000)))
    yield* Effect.sleep("4 seconds")
    const { time } = client.info()
    yield* client.abort
    yield* Fiber.await(writing)
    return time
  })

  it(
    "is its own buffer",
    virtually(Effect.gen(function*() {
      const { busy, receiveWindowLimited, sendBufferLimited } = yield* times({ sendBuffer: 20_000 })
      expect(busy).toBe(4000)
      expect(sendBufferLimited).toBeGreaterThan(3000)
      expect(receiveWindowLimited).toBe(0)
    }))
  )

  it(
    "is the peer's buffer",
    virtually(Effect.gen(function*() {
      const { busy, receiveWindowLimited, sendBufferLimited } = yield* times({ receiveBuffer: 20_000 })
      expect(busy).toBe(4000)
      expect(receiveWindowLimited).toBeGreaterThan(3000)
      expect(sendBufferLimited).toBe(0)
    }))
  )

  it(
    "is a peer that does not read",
    virtually(Effect.gen(function*() {
      const { busy, receiveWindowLimited } = yield* times({ slowReader: true })
      expect(busy).toBe(4000)
      expect(receiveWindowLimited).toBeGreaterThan(3000)
    }))
  )

  it(
    "is the network",
    virtually(Effect.gen(function*() {
      const { busy, receiveWindowLimited, sendBufferLimited } = yield* times({ bandwidth: 4e6 })
      expect(busy).toBe(4000)
      expect(receiveWindowLimited + sendBufferLimited).toBeLessThan(400)
    }))
  )

  it(
    "is nothing while nothing is to be sent",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* far)
      yield* Effect.forkChild(readAll(server))
      for (let index = 0; index < 3; index++) {
        yield* client.write(bytes("hello"))
        yield* Effect.sleep("1 second")
      }
      // The round trip, and what the peer waits before it acknowledges.
      expect(client.info().time.busy).toBeLessThanOrEqual(3 * 60)
      expect(client.info().time.busy).toBeGreaterThanOrEqual(3 * 20)
    }))
  )
})

const collect = (stream: Stream.Stream<TcpInfo>) => Effect.forkChild(Stream.runCollect(stream))

describe("changes", () => {
  it(
    "of state are told at once, and the stream ends with the connection",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* far)
      const watching = yield* collect(client.infoChanges())
      yield* Effect.yieldNow
      yield* client.closeWrite
      yield* readAll(server)
      yield* Effect.sleep("1 second")
      yield* server.closeWrite
      const seen = yield* Fiber.join(watching)
      expect(seen[0]!.state).toBe("ESTABLISHED")
      expect([...new Set(seen.map(({ state }) => state))]).toEqual([
        "ESTABLISHED",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "TIME-WAIT",
        "CLOSED"
      ])
      expect(yield* Stream.runCollect(client.infoChanges())).toMatchObject([{ state: "CLOSED" }])
    }))
  )

  it(
    "of the phase of recovery are told at once",
    virtually(Effect.gen(function*() {
      let place = 0
      const faults: Faults.Faults = (_, decoded) =>
        (decoded().tcp?.length ?? 0) > 0 && ++place === 3 ? [Faults.lose] : []
      const hosts = yield* pair({ left: { outbound: { latency, faults }, inbound: { latency } } })
      const { client } = yield* connected(hosts)
      const watching = yield* collect(client.infoChanges("1 hour"))
      yield* Effect.yieldNow
      yield* client.write(new Uint8Array(10 * MSS))
      yield* Effect.sleep("10 seconds")
      yield* client.abort
      expect((yield* Fiber.join(watching)).map(({ phase, state }) => `${state} ${phase}`)).toEqual([
        "ESTABLISHED open",
        "ESTABLISHED recovery",
        "ESTABLISHED open",
        "CLOSED open"
      ])
    }))
  )

  it(
    "of anything else are told once in an interval, the last one included",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ left: { outbound: { latency, bandwidth: 8e6 }, inbound: { latency } } })
      const { client, server } = yield* connected(hosts)
      yield* Effect.forkChild(readAll(server))
      const watching = yield* collect(client.infoChanges(100))
      yield* Effect.yieldNow
      // A second's worth.
      yield* client.write(new Uint8Array(1_000_000))
      yield* Effect.sleep("1 hour")
      yield* client.abort
      const seen = yield* Fiber.join(watching)
      expect(seen.length).toBeGreaterThan(8)
      expect(seen.length).toBeLessThan(18)
      expect(seen.at(-2)).toMatchObject({
        state: "ESTABLISHED",
        traffic: { octetsAcknowledged: 1_000_000 },
        sending: { queued: 0 }
      })
    }))
  )

  it(
    "are bounded: who falls behind finds the latest",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ left: { outbound: { latency, bandwidth: 8e6 }, inbound: { latency } } })
      const { client, server } = yield* connected(hosts)
      yield* Effect.forkChild(readAll(server))
      const slow = client.infoChanges(1).pipe(
        Stream.mapEffect((info) => Effect.as(Effect.sleep("1 minute"), info)),
        Stream.runCollect
      )
      const watching = yield* Effect.forkChild(slow)
      yield* Effect.yieldNow
      yield* client.write(new Uint8Array(1_000_000))
      yield* Effect.sleep("10 seconds")
      yield* client.abort
      const seen = yield* Fiber.join(watching)
      expect(seen.length).toBeLessThanOrEqual(2 * 64 + 1)
      expect(seen.at(-1)!.state).toBe("CLOSED")
    }))
  )

  it(
    "are not looked for any more once the reader is gone",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* far)
      const seen = yield* Stream.runCollect(Stream.take(client.infoChanges(), 1))
      expect(seen.length).toBe(1)
      yield* client.write(bytes("hello"))
      yield* Effect.sleep("1 second")
      expect(client.info().traffic.octetsAcknowledged).toBe(5)
    }))
  )
})

describe("all connections of a stack", () => {
  it(
    "are known",
    virtually(Effect.gen(function*() {
      const hosts = yield* far
      const { client } = yield* connected(hosts)
      yield* connected(hosts)
      const all = yield* hosts.left.tcp.info
      expect(all.length).toBe(2)
      expect(all.map(({ local }) => text(local))).toContain(text(client.local))
      // A listener is no connection.
      expect((yield* hosts.right.tcp.info).map(({ state }) => state)).toEqual(["ESTABLISHED", "ESTABLISHED"])
    }))
  )
})

describe("the text of ss", () => {
  it(
    "has what is known",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* far, {
        client: { congestion: Reno, localPort: 50_000 },
        server: { port: 80 }
      })
      expect(format(client.info())).toBe(
        "ESTAB 0 0 10.0.0.1:50000 10.0.0.2:80\n" +
          "\t ts sack reno stage:slow-start wscale:10,10 rto:220 rtt:20/10 ato:40 mss:1448 pmtu:1500 rcvmss:536 advmss:1460" +
          " cwnd:10 segs_out:2 segs_in:1 send 5792000bps lastack:10 rcv_space:14600 minrtt:20 snd_wnd:65535"
      )
      yield* client.write(new Uint8Array(12 * MSS))
      yield* Effect.sleep("5 millis")
      const line = format(client.info())
      expect(line).toContain("ESTAB 0 17376 10.0.0.1:50000")
      expect(line).toContain("bytes_sent:14480 segs_out:12 segs_in:1 data_segs_out:10")
      expect(line).toContain("busy:5ms unacked:10 rcv_space:14600 notsent:2896 minrtt:20")
    }))
  )
})
