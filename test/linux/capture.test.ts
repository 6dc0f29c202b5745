/**
 * What tcpdump and tshark say about everything the stack does on a wire that loses nothing.
 */
import { expect, layer } from "@effect/vitest"
import { Icmp, Tcp, Udp } from "@strata/core"
import { TcpDefaults } from "@strata/core/tcp/TcpDefaults"
import * as Checksum from "@strata/core/wire/Checksum"
import { Protocol } from "@strata/core/wire/Ipv4Header"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  describeOffloads,
  hostWith,
  KERNEL,
  Kernel,
  type Offload,
  OFFLOADS,
  ON_THE_WIRE,
  STACK,
  tcpPeer,
  tcpReports,
  udpPeer,
  udpReport
} from "../support/linux.ts"
import { sendToKernel } from "../support/linuxTransfer.ts"
import { inet, ipv4 } from "../support/Probe.ts"
import { patterned, readHash, writeRandom } from "../support/transfer.ts"

const MiB = 1024 * 1024

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "strata-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/**
 * Neither end sends anything again before five seconds have passed. A program that a busy machine does not run holds up
 * the answers to it, and a tail loss probe is right then (RFC 8985 §7.2), but not what is looked for here.
 */
const PATIENCE = 5_000
/** Frames that wait for the stack, 4 MiB and more: the kernel would lose what it sends to a stack that does not run. */
const QUEUE = 10_000

const patientHost = (offload: Offload) =>
  hostWith(offload).pipe(
    Layer.provide(Layer.succeed(TcpDefaults, {
      settings: { tailLossProbe: false, minimumRetransmissionTimeout: PATIENCE }
    }))
  )

const patientKernel = Effect.gen(function*() {
  const kernel = yield* Kernel
  yield* kernel.succeed("sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_early_retrans")
  yield* kernel.succeed("ip", "link", "set", "tap0", "txqueuelen", String(QUEUE))
  // A thread of the kernel's joins segments before they are captured, and the checksum is that of none of them then.
  yield* kernel.succeed("ethtool", "-K", "tap0", "gro", "off")
  yield* kernel.succeed("ip", "route", "change", "192.0.2.0/24", "dev", "tap0", "rto_min", `${PATIENCE}ms`)
})

/** Records `tap0` while `exchange` runs, and gives the file. */
const record = Effect.fnUntraced(function*<A, E, R>(exchange: Effect.Effect<A, E, R>) {
  const kernel = yield* Kernel
  yield* patientKernel
  const file = join(yield* directory, "exchange.pcap")
  const tcpdump = yield* kernel.spawn(
    "tcpdump",
    "-i",
    "tap0",
    // The kernel's buffer has slots of this size: with more than a frame needs there are too few of them.
    "-s",
    "2048",
    "--immediate-mode",
    "-B",
    "65536",
    "-Z",
    "root",
    "-w",
    file
  )
  yield* tcpdump.prints(/listening on tap0/)
  yield* exchange
  yield* Effect.sleep(300)
  yield* tcpdump.kill("SIGINT")
  const { stderr } = yield* tcpdump.result
  expect(stderr).toContain("\n0 packets dropped by kernel")
  return file
})

const PREFERENCES = ["ip", "udp", "tcp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`])
/** Datagrams to a port without a meaning are what they seem to be, by chance of the other port and the text: RTCP, for one. */
const READ_AS = ["-d", "udp.port==4444,echo"]
const FIELDS = ["frame.number", "ip.src", "_ws.expert.message"].flatMap((field) => ["-e", field])
/** Severity "note" and up. */
const FILTER = "_ws.expert.severity >= 0x400000"

/** What tshark notes about every connection that is closed in order. */
const CLOSING = /Connection finish \(FIN\),This frame (initiates|undergoes) the connection closing$/

/** The kernel sends a TCP checksum of zero as all ones when it computes it itself, one in 65,536 times. */
const KERNELS_ZERO = new RegExp(`^\\d+ ${KERNEL} .*0xffff instead of 0x0000`)

/** All that tshark thinks worth a remark, as `<frame> <sender> <remark>`. */
const remarks = Effect.fnUntraced(function*(file: string) {
  const kernel = yield* Kernel
  const tshark = ["tshark", "-r", file, ...READ_AS, ...PREFERENCES, "-Y", FILTER, "-T", "fields", ...FIELDS]
  const { stdout } = yield* kernel.succeed(...tshark)
  const lines = stdout.split("\n").filter((line) => line !== "")
  return lines.map((line) => line.replaceAll("\t", " "))
    .filter((line) => !CLOSING.test(line) && !KERNELS_ZERO.test(line))
})

/** Fails with all that was captured when tshark remarks on anything but what is `allowed`. */
const expectNoRemarks = Effect.fnUntraced(function*(file: string, allowed?: RegExp) {
  const unexpected = (yield* remarks(file)).filter((remark) => allowed === undefined || !allowed.test(remark))
  if (unexpected.length === 0) return
  const { stdout } = yield* (yield* Kernel).succeed("tshark", "-r", file, "-t", "r")
  expect(unexpected, stdout).toEqual([])
})

/** Lines of `tcpdump -vvv` that complain. */
const complaints = Effect.fnUntraced(function*(file: string) {
  const { stdout } = yield* (yield* Kernel).succeed("tcpdump", "-n", "-vvv", "-r", file)
  expect(stdout).toContain(` > ${KERNEL}`)
  return stdout.split("\n").filter((line) => /\b(bad|incorrect|wrong|invalid|malformed|truncated)\b|\[\|/i.test(line))
})

describeOffloads("Linux, captured", ["ping", "arping", "ethtool", "tcpdump", "tshark"], (offload) => {
  layer(patientHost(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("ARP, ICMP and UDP: no complaint", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const file = yield* record(Effect.gen(function*() {
          yield* kernel.succeed("arping", "-c", "2", "-w", "20", "-I", "tap0", STACK)
          for (const size of [0, 56, 1473, 65_507]) {
            yield* kernel.succeed("ping", "-c", "2", "-i", "0.1", "-W", "5", "-s", String(size), STACK)
            yield* (yield* Icmp).ping(ipv4(KERNEL), { payload: patterned(size, 0), timeout: "5 seconds" })
          }
          const port = yield* (yield* Udp).bind({ port: 7 })
          yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
            for (const datagram of yield* port.take) yield* port.send(datagram.payload, datagram.source)
          })))
          const lengths = [0, 1, 2, 1471, 1472, 1473, 65_507]
          const peer = yield* udpPeer(kernel, { send: { host: STACK, port: 7, lengths } })
          expect(yield* udpReport(peer)).toEqual({ equal: lengths.length })
          const refused = yield* udpPeer(kernel, { send: { host: STACK, port: 4444, lengths: [5000] } })
          expect(yield* udpReport(refused)).toEqual({ equal: 0, error: "ECONNREFUSED" })
        }))
        expect(yield* complaints(file)).toEqual([])
        yield* expectNoRemarks(file)
      }))

    it.effect("TCP connections opened, used and closed from both sides: no complaint", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const tcp = yield* Tcp
        const file = yield* record(Effect.gen(function*() {
          const listener = yield* tcp.listen({ port: 7 })
          for (const send of [0, 1, 1460, 1461, 50_000]) {
            const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send })
            const connection = yield* listener.accept
            const received = yield* readHash(connection)
            yield* writeRandom(connection, send)
            yield* connection.closeWrite
            yield* connection.closed
            expect(yield* tcpReports(peer)).toMatchObject([{ sentHash: received.hash, received: send, ended: true }])
          }
          const peer = yield* tcpPeer(kernel, { listen: 9000, send: 50_000 })
          yield* peer.prints(/listening/)
          const connection = yield* tcp.connect({ remote: inet(KERNEL, 9000) })
          yield* writeRandom(connection, 50_000)
          yield* connection.closeWrite
          expect((yield* readHash(connection)).octets).toBe(50_000)
          yield* connection.closed
        }))
        expect(yield* complaints(file)).toEqual([])
        yield* expectNoRemarks(file)
      }))

    it.effect("4 MiB each way: nothing is sent twice, nothing malformed; a full window is no fault", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const file = yield* record(Effect.gen(function*() {
          const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 4 * MiB })
          const connection = yield* listener.accept
          const received = yield* readHash(connection)
          const sent = yield* writeRandom(connection, 4 * MiB)
          yield* connection.closeWrite
          yield* connection.closed
          const [report] = yield* tcpReports(peer)
          expect(report).toMatchObject({ sentHash: received.hash, receivedHash: sent })
        }))
        expect(yield* complaints(file)).toEqual([])
        yield* expectNoRemarks(file, /window .*full|zero window|ZeroWindow/i)
      }))

    it.effect("refusals and resets: nothing but the resets is remarked on", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const tcp = yield* Tcp
        const file = yield* record(Effect.gen(function*() {
          const refused = yield* tcpPeer(kernel, { connect: { host: STACK, port: 4444 } })
          expect(yield* tcpReports(refused)).toMatchObject([{ error: "ECONNREFUSED" }])
          yield* Effect.flip(tcp.connect({ remote: inet(KERNEL, 4444) }))
          const listener = yield* tcp.listen({ port: 7 })
          const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "never" })
          const connection = yield* listener.accept
          yield* peer.prints(/connected/)
          yield* connection.abort
          expect(yield* tcpReports(peer)).toMatchObject([{ error: "ECONNRESET" }])
        }))
        expect(yield* complaints(file)).toEqual([])
        const all = yield* remarks(file)
        expect(all.filter((remark) => remark.includes("RST"))).toHaveLength(3)
        expect(all.filter((remark) => !remark.includes("RST"))).toEqual([])
      }))
  })
}, ON_THE_WIRE)

/** An address as an unsigned 32-bit integer. */
const raw = (address: string) => address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0)

const PARTIAL_FIELDS = ["ip.src", "ip.dst", "ip.len", "ip.hdr_len", "tcp.checksum", "ip.checksum.status"]

describeOffloads("Linux, captured before the checksums are computed", ["ethtool", "tcpdump", "tshark"], (offload) => {
  layer(patientHost(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("segments of up to 64 KiB, whose checksum is that of the pseudo-header alone, as Linux leaves them", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const file = yield* record(sendToKernel(4 * MiB))
        const fields = PARTIAL_FIELDS.flatMap((field) => ["-e", field])
        const { stdout } = yield* kernel.succeed(
          "tshark",
          "-r",
          file,
          "-o",
          "ip.check_checksum:TRUE",
          "-Y",
          `tcp && ip.src == ${STACK}`,
          "-T",
          "fields",
          ...fields
        )
        const segments = stdout.trim().split("\n").map((line) => line.split("\t"))
        expect(segments.length).toBeGreaterThan(60)
        const partial = segments.map(([source, destination, length, headerLength]) =>
          Checksum.pseudoHeader(raw(source!), raw(destination!), Protocol.tcp, Number(length) - Number(headerLength))
        )
        expect(segments.map(([, , , , checksum]) => Number(checksum))).toEqual(partial)
        expect(new Set(segments.map(([, , , , , status]) => status))).toEqual(new Set(["1"]))
        expect(Math.max(...segments.map(([, , length]) => Number(length)))).toBeGreaterThan(32_000)
      }))
  })
}, [OFFLOADS["all by the kernel"]])
