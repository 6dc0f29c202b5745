/**
 * What the stack knows of a connection, and what it counts, beside what the kernel at the other end says of the same.
 */
import { expect, layer } from "@effect/vitest"
import { Netstat, Statistics, Tcp, type TcpInfo } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import { describeOffloads, KERNEL, Kernel, ON_THE_WIRE, tcpPeer } from "../support/linux.ts"
import * as LossyPath from "../support/lossyPath.ts"
import * as Namespace from "../support/namespace.ts"
import { inet } from "../support/Probe.ts"

const MSS = 1448
const OCTETS = 10 * MSS
const PORT = 9000

/** Loses a single full-sized segment that comes in at `port`: the one with that place, the first being 1. */
const loseText = Effect.fnUntraced(function*(port: string, place: number) {
  const { middle } = yield* LossyPath.Path
  const rules = `
table netdev single {
  chain drops {
    type filter hook ingress device "${port}" priority 1
    ip protocol tcp meta length > ${MSS} numgen inc mod 100000 == ${place - 1} drop
  }
}
`
  expect((yield* middle.execWith({ input: rules }, "nft", "-f", "-")).stderr).toBe("")
})

/** The counters of the kernel's namespace as `nstat` names them. */
const kernelCounters = Effect.gen(function*() {
  const { stdout } = yield* (yield* Kernel).succeed("cat", "/proc/net/snmp", "/proc/net/netstat")
  const lines = stdout.split("\n").map((line) => line.split(/:? /))
  const counters: Record<string, number> = {}
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const [[table, ...names], [, ...values]] = [lines[index]!, lines[index + 1]!]
    for (const [at, name] of names.entries()) counters[`${table}${name}`] = Number(values[at])
  }
  return counters
})

const ownCounters = Effect.flatMap(Statistics, ({ snapshot }) => Effect.map(snapshot, Netstat.toLinux))

/** What `ss -ti` of the kernel says of its only connection. */
const kernelInfo = Effect.gen(function*() {
  const { stdout } = yield* (yield* Kernel).succeed("ss", "-tionH", "state", "established")
  const words = Object.fromEntries([...stdout.matchAll(/(\w+):([\d.,/]+)/g)].map(([, name, value]) => [name, value]))
  return {
    words: words as Readonly<Record<string, string>>,
    number: (name: string) => Number(words[name] ?? 0),
    flags: stdout.split(/\s+/)
  }
})

/** Until everything is acknowledged at both ends. */
const settled = Effect.fnUntraced(function*(connection: Connection) {
  for (;;) {
    const { number } = yield* kernelInfo
    const { sending, traffic } = connection.info()
    if (sending.unacknowledged === 0 && number("unacked") === 0 && traffic.octetsReceived === number("bytes_acked")) {
      return
    }
    yield* Effect.sleep("50 millis")
  }
})

/** A connection over which the kernel sends back what comes, or sends by itself. */
const connect = Effect.fnUntraced(function*(plan: { readonly echo?: boolean; readonly send?: number }) {
  const peer = yield* tcpPeer(yield* Kernel, { listen: PORT, end: "never", ...plan })
  yield* peer.prints(/listening/)
  return yield* (yield* Tcp).connect({ remote: inet(KERNEL, PORT) })
})

const receive = Effect.fnUntraced(function*(connection: Connection, octets: number) {
  for (let left = octets; left > 0;) {
    left -= (yield* connection.read).reduce((sum, chunk) => sum + chunk.length, 0)
  }
})

/** What both ends must say alike, whatever happened on the way. */
const agree = Effect.fnUntraced(function*(info: TcpInfo, lost: { readonly sent?: number; readonly received?: number }) {
  const { flags, number, words } = yield* kernelInfo
  expect(flags).toContain("ts")
  expect(flags).toContain("sack")
  expect(info.options).toMatchObject({ timestamps: true, selectiveAcknowledgement: true })
  const { receive: ours, send: theirs } = info.options.windowScale!
  expect(words["wscale"]).toBe(`${ours},${theirs}`)
  expect([number("mss"), number("pmtu"), number("advmss")]).toEqual([MSS, info.segmentSize.pathMtu, MSS])
  expect(info.segmentSize).toMatchObject({ send: MSS, announced: 1460 })

  const { counts, traffic } = info
  // Linux counts the SYN as an octet that was acknowledged, where it sent one.
  expect(traffic.octetsReceived).toBe(number("bytes_acked"))
  expect(traffic.octetsAcknowledged).toBe(number("bytes_received"))
  expect(traffic.octetsSent - counts.retransmittedOctets).toBe(number("bytes_received"))
  expect(traffic.textSegmentsSent - (lost.sent ?? 0)).toBe(number("data_segs_in"))
  expect(traffic.textSegmentsReceived + (lost.received ?? 0)).toBe(number("data_segs_out"))
  // The SYN,ACK is not of the connection yet for Linux.
  expect(traffic.segmentsSent - (lost.sent ?? 0)).toBe(number("segs_in"))
  expect(traffic.segmentsReceived - 1 + (lost.received ?? 0)).toBe(number("segs_out"))

  const kernel = yield* kernelCounters
  const own = yield* ownCounters
  expect(own["TcpOutSegs"]! + own["TcpRetransSegs"]! - (lost.sent ?? 0)).toBe(kernel["TcpInSegs"])
  expect(kernel["TcpOutSegs"]! + kernel["TcpRetransSegs"]! - (lost.received ?? 0)).toBe(own["TcpInSegs"])
  expect([own["TcpActiveOpens"], kernel["TcpPassiveOpens"]]).toEqual([1, 1])
  expect([own["TcpCurrEstab"], kernel["TcpCurrEstab"]]).toEqual([1, 1])
  for (const name of ["TcpAttemptFails", "TcpEstabResets", "TcpOutRsts", "TcpInErrs"]) {
    expect([name, own[name], kernel[name]]).toEqual([name, 0, 0])
  }
  // What one end says came twice, the other hears.
  expect(own["TcpExtTCPDSACKRecv"]).toBe(kernel["TcpExtTCPDSACKOldSent"]! + kernel["TcpExtTCPDSACKOfoSent"]!)
  expect(kernel["TcpExtTCPDSACKRecv"]! + kernel["TcpExtTCPDSACKOfoRecv"]!).toBe(own["TcpExtTCPDSACKOldSent"])
  return { kernel, own }
})

const PROGRAMS = [...LossyPath.PROGRAMS, "ss"]

describeOffloads("Linux, what both ends of a connection say", PROGRAMS, (offload) => {
  layer(LossyPath.hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })("without loss", (it) => {
    it.effect("they agree about octets, segments, sizes, options and counters", () =>
      Effect.gen(function*() {
        const connection = yield* connect({ echo: true })
        yield* connection.write(new Uint8Array(OCTETS))
        yield* receive(connection, OCTETS)
        yield* settled(connection)
        const info = connection.info()
        const { own } = yield* agree(info, {})
        expect(info.traffic).toMatchObject({ octetsSent: OCTETS, octetsReceived: OCTETS })
        expect(info.delivery.delivered).toBe(OCTETS)
        expect(own).toMatchObject({ TcpExtTCPSackRecovery: 0, TcpExtTCPOFOQueue: 0 })
      }))

    it("knows no counter that Linux does not have", () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const names = Object.keys(yield* Effect.provideService(kernelCounters, Kernel, yield* Namespace.make))
        for (const { name, table } of Netstat.LINUX_COUNTERS) expect(names).toContain(`${table}${name}`)
      }))))
  })
})

// Where what is lost is one segment.
describeOffloads("Linux, what both ends of a connection say about a loss", PROGRAMS, (offload) => {
  layer(LossyPath.hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })(
    "a segment of ours lost",
    (it) => {
      it.effect("is one retransmission in one recovery", () =>
        Effect.gen(function*() {
          yield* loseText(LossyPath.Port.stack, 3)
          const connection = yield* connect({})
          yield* connection.write(new Uint8Array(OCTETS))
          yield* settled(connection)
          const { kernel, own } = yield* agree(connection.info(), { sent: 1 })
          expect(own).toMatchObject({ TcpExtTCPSackRecovery: 1, TcpExtTCPTimeouts: 0, TcpExtTCPOrigDataSent: 10 })
          // Those that came after it.
          expect(kernel["TcpExtTCPOFOQueue"]).toBe(7)
          expect(connection.info().counts.lostOctets).toBeGreaterThanOrEqual(MSS)
        }))
    }
  )

  layer(LossyPath.hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })(
    "our last segment lost",
    (it) => {
      it.effect("is repaired by a probe", () =>
        Effect.gen(function*() {
          yield* loseText(LossyPath.Port.stack, 10)
          const connection = yield* connect({})
          yield* connection.write(new Uint8Array(OCTETS))
          yield* settled(connection)
          const { kernel, own } = yield* agree(connection.info(), { sent: 1 })
          expect(own).toMatchObject({ TcpExtTCPLossProbes: 1, TcpExtTCPLossProbeRecovery: 1, TcpExtTCPSackRecovery: 0 })
          expect(kernel["TcpExtTCPOFOQueue"]).toBe(0)
        }))
    }
  )

  layer(LossyPath.hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })(
    "a segment of the kernel's lost",
    (it) => {
      it.effect("is one retransmission in one recovery", () =>
        Effect.gen(function*() {
          yield* loseText(LossyPath.Port.kernel, 3)
          const connection = yield* connect({ send: OCTETS })
          yield* receive(connection, OCTETS)
          yield* settled(connection)
          const { kernel, own } = yield* agree(connection.info(), { received: 1 })
          expect(kernel["TcpRetransSegs"]).toBeGreaterThanOrEqual(1)
          // Those that came after it, and what the kernel may have sent to find out; joined ones are one, as in Linux.
          expect(own["TcpExtTCPOFOQueue"]).toBeGreaterThanOrEqual(offload === false ? 7 : 1)
          expect(connection.info().traffic.octetsReceived).toBe(OCTETS)
        }))
    }
  )
}, ON_THE_WIRE)
