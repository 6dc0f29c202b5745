/**
 * The counters tell the truth: what happens to a transfer is arranged segment by segment, and counted as Linux would.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Netstat from "@strata/core/tcp/Netstat"
import type { ConnectionOptions } from "@strata/core/tcp/Tcp"
import { Distribution, Faults } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { bytes, connected, type Host, inet, pair, readAll, RIGHT, virtually } from "../../support/tcpHosts.ts"

const MSS = 1460

type Counters = Readonly<Record<string, number>>

/** What happens to segments with text by their place in the order in which they leave, the first of them 1. */
const onText = (faults: Readonly<Record<number, Faults.Fault>>): Faults.Faults => {
  let place = 0
  return (_, decoded) => {
    if ((decoded().tcp?.length ?? 0) === 0) return []
    const fault = faults[++place]
    return fault === undefined ? [] : [fault]
  }
}

/** The first `count` arrive after 350 milliseconds, one by one. */
const late = (count: number): Faults.Faults =>
  onText(Object.fromEntries(Array.from({ length: count }, (_, index) => [index + 1, Faults.delay(350 + 2 * index)])))

const linux = (host: Host) => Effect.map(host.counters, Netstat.toLinux)

const REPAIRS =
  /Retrans|Timeouts|LossProbe|Recovery|Undo|Spurious|DSACK|Reorder|LostRetransmit|Reneging|OFO|WinProbe|ZeroWindow/

/** The counters of repairs that are not zero. */
const repairs = (counters: Counters): Counters =>
  Object.fromEntries(Object.entries(counters).filter(([name, value]) => value !== 0 && REPAIRS.test(name)))

interface Plan {
  readonly faults?: Faults.Faults
  readonly segments?: number
  /** Without timestamps by default: what they show is shown by what else there is. */
  readonly settings?: ConnectionOptions["settings"]
}

/** Sends full segments from the left to the right, 10 ms away, and gives the counters of both. */
const transfer = Effect.fnUntraced(function*({ faults = Faults.none, segments = 10, settings = {} }: Plan) {
  const latency = Distribution.constant(10)
  const hosts = yield* pair({ left: { outbound: { latency, faults }, inbound: { latency } } })
  const options = { settings: { timestamps: false, ...settings } }
  const { client, server } = yield* connected(hosts, { client: options, server: options })
  const reading = yield* Effect.forkChild(readAll(server))
  yield* client.write(new Uint8Array(segments * MSS))
  // The FIN comes later, so that the end of the text is the end of the flight.
  yield* Effect.sleep("10 seconds")
  yield* client.closeWrite
  expect((yield* Fiber.join(reading)).length).toBe(segments * MSS)
  yield* server.closeWrite
  yield* client.closed
  return { sender: yield* linux(hosts.left), receiver: yield* linux(hosts.right) }
})

describe("counters of a transfer", () => {
  it(
    "without loss: both ends agree, and nothing is repaired",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* transfer({})
      expect(repairs(sender)).toEqual({})
      expect(repairs(receiver)).toEqual({})
      expect(sender).toMatchObject({ TcpActiveOpens: 1, TcpPassiveOpens: 0, TcpCurrEstab: 0, TcpEstabResets: 0 })
      expect(receiver).toMatchObject({ TcpActiveOpens: 0, TcpPassiveOpens: 1, TcpCurrEstab: 0, TcpEstabResets: 0 })
      expect(sender["TcpOutSegs"]).toBe(receiver["TcpInSegs"])
      expect(receiver["TcpOutSegs"]).toBe(sender["TcpInSegs"])
      // Text, and a FIN.
      expect(sender["TcpExtTCPOrigDataSent"]).toBe(11)
      expect(receiver["TcpExtTCPOrigDataSent"]).toBe(1)
    }))
  )

  it(
    "one segment lost: one retransmission in one recovery, and no timeout",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* transfer({ faults: onText({ 3: Faults.lose }) })
      expect(repairs(sender)).toEqual({ TcpRetransSegs: 1, TcpExtTCPSackRecovery: 1, TcpExtTCPFastRetrans: 1 })
      expect(repairs(receiver)).toEqual({ TcpExtTCPOFOQueue: 7 })
      expect(sender["TcpExtTCPOrigDataSent"]).toBe(11)
      // Linux's OutSegs leaves retransmissions out; one segment did not arrive.
      expect(receiver["TcpInSegs"]).toBe(sender["TcpOutSegs"]! + 1 - 1)
    }))
  )

  it(
    "one segment lost, without SACK: a recovery by duplicates",
    virtually(Effect.gen(function*() {
      const settings = { selectiveAcknowledgement: false }
      const { sender } = yield* transfer({ faults: onText({ 3: Faults.lose }), settings })
      expect(repairs(sender)).toEqual({ TcpRetransSegs: 1, TcpExtTCPRenoRecovery: 1, TcpExtTCPFastRetrans: 1 })
    }))
  )

  it(
    "the retransmission lost as well: found by RACK, and sent a third time",
    virtually(Effect.gen(function*() {
      const { sender } = yield* transfer({ faults: onText({ 3: Faults.lose, 11: Faults.lose }), segments: 30 })
      expect(repairs(sender)).toEqual({
        TcpRetransSegs: 2,
        TcpExtTCPSackRecovery: 1,
        TcpExtTCPFastRetrans: 2,
        TcpExtTCPLostRetransmit: 1
      })
    }))
  )

  it(
    "the tail lost: a probe repairs it",
    virtually(Effect.gen(function*() {
      const { sender } = yield* transfer({ faults: onText({ 10: Faults.lose }) })
      expect(repairs(sender)).toEqual({ TcpRetransSegs: 1, TcpExtTCPLossProbes: 1, TcpExtTCPLossProbeRecovery: 1 })
    }))
  )

  it(
    "the tail and its probe lost: a timeout repairs it",
    virtually(Effect.gen(function*() {
      const { sender } = yield* transfer({ faults: onText({ 10: Faults.lose, 11: Faults.lose }) })
      expect(repairs(sender)).toEqual({ TcpRetransSegs: 2, TcpExtTCPLossProbes: 1, TcpExtTCPTimeouts: 1 })
    }))
  )

  it(
    "a flight that is late: a timeout, which F-RTO finds to be spurious",
    virtually(Effect.gen(function*() {
      const settings = { tailLossProbe: false }
      const { sender } = yield* transfer({ faults: late(11), segments: 20, settings })
      expect(repairs(sender)).toMatchObject({
        TcpRetransSegs: 1,
        TcpExtTCPTimeouts: 1,
        TcpExtTCPSpuriousRTOs: 1,
        TcpExtTCPLossUndo: 1
      })
    }))
  )

  it(
    "the same where there are timestamps, which tell it first",
    virtually(Effect.gen(function*() {
      const settings = { tailLossProbe: false, timestamps: true }
      const { sender } = yield* transfer({ faults: late(11), segments: 20, settings })
      expect(repairs(sender)).toMatchObject({ TcpRetransSegs: 1, TcpExtTCPTimeouts: 1, TcpExtTCPLossUndo: 1 })
      expect(sender).toMatchObject({ TcpExtTCPSpuriousRTOs: 0, TcpExtTCPFullUndo: 0 })
    }))
  )

  it(
    "a segment that is overtaken: sent again for nothing, as timestamps tell",
    virtually(Effect.gen(function*() {
      const settings = { timestamps: true }
      const { receiver, sender } = yield* transfer({ faults: onText({ 3: Faults.delay(5) }), settings })
      expect(repairs(sender)).toEqual({
        TcpRetransSegs: 1,
        TcpExtTCPFastRetrans: 1,
        TcpExtTCPSackRecovery: 1,
        TcpExtTCPFullUndo: 1,
        TcpExtTCPDSACKRecv: 1
      })
      expect(receiver).toMatchObject({ TcpExtTCPOFOQueue: 7, TcpExtTCPDSACKOldSent: 1 })
    }))
  )

  it(
    "a segment that comes after its retransmission: sent again for nothing, as D-SACK tells",
    virtually(Effect.gen(function*() {
      const { sender } = yield* transfer({ faults: onText({ 3: Faults.delay(25) }) })
      expect(repairs(sender)).toEqual({
        TcpRetransSegs: 1,
        TcpExtTCPFastRetrans: 1,
        TcpExtTCPSackRecovery: 1,
        TcpExtTCPDSACKUndo: 1,
        TcpExtTCPDSACKRecv: 1
      })
    }))
  )

  it(
    "two segments that change places: nothing is sent again",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* transfer({ faults: onText({ 9: Faults.delay(1) }) })
      expect(repairs(sender)).toEqual({ TcpExtTCPSACKReorder: 1 })
      expect(repairs(receiver)).toEqual({ TcpExtTCPOFOQueue: 1 })
    }))
  )

  it(
    "a segment that arrives twice: D-SACK at both ends, and nothing else",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* transfer({ faults: onText({ 3: Faults.duplicate }) })
      expect(repairs(sender)).toEqual({ TcpExtTCPDSACKRecv: 1 })
      expect(repairs(receiver)).toEqual({ TcpExtTCPDSACKOldSent: 1 })
    }))
  )

  it(
    "a segment with a bit wrong: an error of the receiver, and a loss for the sender",
    virtually(Effect.gen(function*() {
      const { receiver, sender } = yield* transfer({ faults: onText({ 3: Faults.corrupt(8 * 500) }) })
      expect(repairs(sender)).toEqual({ TcpRetransSegs: 1, TcpExtTCPSackRecovery: 1, TcpExtTCPFastRetrans: 1 })
      expect(receiver).toMatchObject({ TcpInErrs: 1, TcpInCsumErrors: 1 })
      expect(receiver["TcpInSegs"]).toBe(sender["TcpOutSegs"]! + 1)
    }))
  )
})

describe("counters of a connection's life", () => {
  it(
    "a SYN that is lost",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* hosts.left.impairment.partition
      const opening = yield* Effect.forkChild(connected(hosts))
      yield* Effect.sleep("500 millis")
      yield* hosts.left.impairment.heal
      yield* Fiber.join(opening)
      const left = yield* linux(hosts.left)
      expect(repairs(left)).toEqual({ TcpRetransSegs: 1, TcpExtTCPSynRetrans: 1, TcpExtTCPTimeouts: 1 })
      expect(left).toMatchObject({ TcpActiveOpens: 1, TcpCurrEstab: 1, TcpExtTCPOrigDataSent: 0 })
    }))
  )

  it(
    "a SYN,ACK that is lost: the SYN comes again, and is answered again",
    virtually(Effect.gen(function*() {
      let count = 0
      const faults: Faults.Faults = (_, decoded) => decoded().tcp?.syn === true && ++count === 1 ? [Faults.lose] : []
      const hosts = yield* pair({ right: { outbound: { faults } } })
      yield* connected(hosts, { server: { settings: { minimumRetransmissionTimeout: 5000 } } })
      expect(yield* linux(hosts.left)).toMatchObject({ TcpExtTCPSynRetrans: 1 })
      expect(yield* linux(hosts.right)).toMatchObject({ TcpRetransSegs: 1, TcpExtTCPSynRetrans: 1 })
    }))
  )

  it(
    "nobody listens",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      yield* Effect.flip(hosts.left.tcp.connect({ remote: inet(RIGHT, 7) }))
      expect(yield* linux(hosts.left)).toMatchObject({ TcpActiveOpens: 1, TcpAttemptFails: 1, TcpInSegs: 1 })
      expect(yield* linux(hosts.right)).toMatchObject({ TcpInSegs: 1, TcpOutSegs: 1, TcpOutRsts: 1 })
    }))
  )

  it(
    "closed with octets that nobody read: a reset",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* client.write(bytes("hello"))
      yield* Effect.sleep("1 second")
      yield* server.close
      yield* Effect.flip(client.closed)
      expect(yield* linux(hosts.right)).toMatchObject({ TcpExtTCPAbortOnClose: 1, TcpEstabResets: 1, TcpOutRsts: 1 })
      expect(yield* linux(hosts.left)).toMatchObject({ TcpEstabResets: 1, TcpCurrEstab: 0 })
    }))
  )

  it(
    "octets after a close: a reset",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts)
      yield* server.close
      yield* Effect.sleep("1 second")
      yield* client.write(bytes("hello"))
      yield* Effect.flip(client.closed)
      expect(yield* linux(hosts.right)).toMatchObject({ TcpExtTCPAbortOnData: 1, TcpExtTCPAbortOnClose: 0 })
    }))
  )

  it(
    "a peer that vanishes",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts, { client: { settings: { retransmissions: 3 } } })
      yield* hosts.right.impairment.partition
      yield* client.write(bytes("hello?"))
      yield* Effect.flip(client.closed)
      expect(yield* linux(hosts.left)).toMatchObject({
        TcpExtTCPAbortOnTimeout: 1,
        TcpEstabResets: 1,
        TcpExtTCPTimeouts: 3
      })
    }))
  )

  it(
    "a reader that pauses: the window closes, probes ask for it, and it opens again",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, server } = yield* connected(hosts, { server: { receiveBuffer: 4 * MSS } })
      const writing = yield* Effect.forkChild(client.write(new Uint8Array(10 * MSS)))
      yield* Effect.sleep("5 seconds")
      const left = yield* linux(hosts.left)
      const right = yield* linux(hosts.right)
      expect(left["TcpExtTCPWinProbe"]).toBeGreaterThan(2)
      expect(right).toMatchObject({
        TcpExtTCPToZeroWindowAdv: 1,
        TcpExtTCPFromZeroWindowAdv: 0,
        TcpExtTCPZeroWindowDrop: left["TcpExtTCPWinProbe"]
      })
      expect(left["TcpRetransSegs"]).toBe(0)
      yield* server.read
      yield* Effect.sleep("1 second")
      expect(yield* linux(hosts.right)).toMatchObject({ TcpExtTCPFromZeroWindowAdv: 1 })
      yield* Fiber.join(writing)
    }))
  )

  it(
    "an idle connection that asks whether its peer is there",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const settings = { keepAlive: true, keepAliveIdle: 10_000, keepAliveInterval: 10_000 }
      yield* connected(hosts, { client: { settings } })
      yield* Effect.sleep("35 seconds")
      expect(yield* linux(hosts.left)).toMatchObject({ TcpExtTCPKeepAlive: 3, TcpRetransSegs: 0 })
    }))
  )

  it(
    "more connections than a listener has room for",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const listener = yield* hosts.right.tcp.listen({ port: 80, backlog: 1 })
      const remote = inet(RIGHT, 80)
      yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(hosts.left.tcp.connect({ remote })))
      yield* Effect.sleep("500 millis")
      const { TcpExtListenDrops: drops, TcpExtListenOverflows: overflows } = yield* linux(hosts.right)
      expect(drops).toBeGreaterThan(0)
      expect(overflows).toBeLessThanOrEqual(drops!)
      yield* listener.accept
    }))
  )

  it(
    "more connections in TIME-WAIT than the stack keeps",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({ leftDefaults: { timeWaits: 2 } })
      for (let index = 0; index < 5; index++) {
        const { client, server } = yield* connected(hosts)
        yield* client.closeWrite
        yield* readAll(server)
        yield* server.closeWrite
        yield* client.closed
      }
      expect(yield* linux(hosts.left)).toMatchObject({ TcpExtTCPTimeWaitOverflow: 3 })
      expect(yield* linux(hosts.right)).toMatchObject({ TcpExtTCPTimeWaitOverflow: 0 })
    }))
  )

  it(
    "one segment that nobody answers: an acknowledgement by the timer",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts, { server: { settings: { quickAcknowledgements: 0 } } })
      yield* client.write(bytes("hello"))
      yield* Effect.sleep("1 second")
      expect(yield* linux(hosts.right)).toMatchObject({ TcpExtDelayedACKs: 1 })
    }))
  )
})

describe("the text of nstat", () => {
  it("has a line for each counter that is not zero", () => {
    const counters = {
      "tcp.sent": 12,
      "tcp.textSent": 7,
      "tcp.retransmitted": 2,
      "tcp.sackRecoveries": 1,
      "ipv4.sent": 3
    }
    expect(Netstat.format(counters).split("\n")).toEqual([
      "TcpOutSegs                      10",
      "TcpRetransSegs                  2",
      "TcpExtTCPSackRecovery           1",
      "TcpExtTCPOrigDataSent           5",
      ""
    ])
  })
})
