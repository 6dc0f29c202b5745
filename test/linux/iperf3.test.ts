/**
 * `strata iperf3` and the iperf3 of Linux, at the two ends of a TAP: each as server and as client of the other.
 */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { strata } from "../cli/process.ts"
import { KERNEL, Kernel, STACK } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"

/** A server that is ready. */
const start = Effect.fnUntraced(function*(...command: ReadonlyArray<string>) {
  const server = yield* (yield* Kernel).spawn(...command)
  // iperf3 tells nothing before its first test is over, unless it is made to.
  yield* server.prints(/Server listening on \d+ \(test #1\)\n/)
  return server
})

const strataServer = (...args: ReadonlyArray<string>) => start(...strata, "iperf3", "-s", ...args)
const linuxServer = (...args: ReadonlyArray<string>) => start("iperf3", "-s", "--forceflush", ...args)

/** What iperf3 prints about one iperf3, and strata about another, at the same time. */
const printBoth = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const kernel = yield* Kernel
  const [theirs, ours] = yield* Effect.all([
    kernel.exec("iperf3", "-c", "127.0.0.1", "-p", "5202", ...args),
    kernel.exec(...strata, "iperf3", "-c", KERNEL, ...args)
  ], { concurrency: 2 })
  return { theirs: theirs.stdout, ours: ours.stdout }
})

const linuxClient = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  return yield* (yield* Kernel).exec("iperf3", "-c", STACK, ...args)
})
const strataClient = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  return yield* (yield* Kernel).exec(...strata, "iperf3", "-c", KERNEL, ...args)
})

/** Octets that were sent and received, in each direction, as a document has them at its end. */
const moved = (end: Record<string, { readonly bytes: number }>): ReadonlyArray<number> =>
  Object.entries(end).flatMap(([name, { bytes }]) => name.startsWith("sum_") ? [bytes] : [])

/** What `-J` printed. */
const parse = (stdout: string) => {
  const document = JSON.parse(stdout)
  expect(Object.keys(document)).toEqual(expect.arrayContaining(["start", "intervals", "end"]))
  return document
}

/** The names in a document, without the places in lists. */
const names = (value: unknown, path = ""): ReadonlyArray<string> => {
  if (Array.isArray(value)) return value.slice(0, 1).flatMap((item) => names(item, `${path}[]`))
  if (typeof value !== "object" || value === null) return [path]
  return Object.entries(value).flatMap(([name, inner]) => names(inner, `${path}.${name}`))
}

/** A report without its numbers and their units, and without the width of what has none that is fixed. */
const shape = (text: string) =>
  text.replaceAll(/\d+(\.\d+)*/g, "9").replaceAll(/[KMG]?(Bytes|bits)/g, "$1").replaceAll(/ +/g, " ")

/** What only an iperf3 has that asks the kernel for its buffers. */
const OF_KERNEL = /\.(sndbuf_actual|rcvbuf_actual)$/

const kinds = [
  ["TCP", ["-t", "1"]],
  ["four streams of TCP", ["-t", "1", "-P", "4"]],
  ["four streams of TCP in reverse", ["-t", "1", "-P", "4", "-R"]],
  ["both directions of TCP", ["-t", "1", "--bidir"]],
  ["UDP", ["-t", "1", "-u", "-b", "10M"]],
  ["UDP in reverse", ["-t", "1", "-u", "-b", "10M", "-R"]],
  ["both directions of UDP with numbers of 64 bits", ["-t", "1", "-u", "-b", "5M", "--bidir", "--udp-counters-64bit"]],
  ["a number of bytes", ["-n", "3M"]],
  ["a number of bytes in reverse", ["-n", "3M", "-R"]],
  ["a number of datagrams", ["-k", "50", "-u", "-b", "10M"]],
  ["a beginning that is omitted", ["-t", "1", "-O", "1", "-b", "20M"]],
  ["a window, a segment size and BBR", ["-t", "1", "-w", "100K", "-M", "1000", "-N", "-C", "bbr", "-R"]]
] as const

/** Where offload makes a difference: with either setting. */
const moving = [
  "both directions of TCP",
  "both directions of UDP with numbers of 64 bits",
  "a number of bytes in reverse"
]
const runs = [
  ...kinds.map(([name, args]) => [name, "on", args] as const),
  ...kinds.filter(([name]) => moving.includes(name)).map(([name, args]) => [name, "off", args] as const)
]

describeLinux("Linux, iperf3", ["iperf3"], () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect.each(runs)(
      "measures with a server of strata: %s, offload %s",
      ([, offload, args]) =>
        Effect.gen(function*() {
          const server = yield* strataServer("-1", "--offload", offload)
          const { exitCode, stdout } = yield* linuxClient("-J", ...args)
          const { end, error } = parse(stdout)
          expect([exitCode, error]).toEqual([0, undefined])
          for (const bytes of moved(end)) expect(bytes).toBeGreaterThan(10_000)
          const ended = yield* server.result
          expect([ended.exitCode, ended.stderr]).toEqual([0, ""])
        })
    )

    it.effect.each(runs)(
      "strata measures with a server of Linux: %s, offload %s",
      ([, offload, args]) =>
        Effect.gen(function*() {
          const server = yield* linuxServer("-1")
          const { exitCode, stderr, stdout } = yield* strataClient("-J", "--offload", offload, ...args)
          const { end, error } = parse(stdout)
          expect([exitCode, error, stderr]).toEqual([0, undefined, ""])
          for (const bytes of moved(end)) expect(bytes).toBeGreaterThan(10_000)
          const ended = yield* server.result
          expect([ended.exitCode, ended.stderr]).toEqual([0, ""])
        })
    )

    it.effect.each(["-t 1 -b 20M", "-t 1 -u", "-t 1 --bidir -b 20M"])(
      "the JSON of strata has the names that iperf3's has: %s",
      (line) =>
        Effect.gen(function*() {
          const args = line.split(" ")
          yield* linuxServer()
          yield* linuxServer("-p", "5202")
          const { ours, theirs } = yield* printBoth(["-J", ...args])
          const wanted = names(parse(theirs)).filter((name) => !OF_KERNEL.test(name))
          expect(wanted.filter((name) => !names(parse(ours)).includes(name))).toEqual([])
        })
    )

    it.effect("strata prints what iperf3 prints", () =>
      Effect.gen(function*() {
        yield* linuxServer()
        yield* linuxServer("-p", "5202")
        for (
          const args of [
            ["-t", "2", "-b", "20M"],
            ["-t", "2", "-R", "-b", "20M", "-P", "2"],
            ["-t", "1", "--bidir", "-b", "20M", "-O", "1"],
            ["-t", "1", "-u", "-P", "2"],
            ["-t", "2", "-u", "-R", "-f", "k"]
          ]
        ) {
          const { ours, theirs } = yield* printBoth(args)
          expect([args, shape(ours)]).toEqual([args, shape(theirs)])
        }
      }), 60_000)

    it.effect("others are told that the server is busy, and it goes on when its client is killed", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* strataServer()
        const first = yield* kernel.spawn("iperf3", "-c", STACK, "-t", "30", "--forceflush")
        yield* first.prints(/ 0\.00-1\.\d\d /)
        const second = yield* linuxClient("-t", "1")
        expect(second.stderr).toContain("the server is busy")
        expect(second.exitCode).toBe(1)
        yield* first.kill("SIGKILL")
        yield* server.prints(/strata: the client has gone [^\n]*\n/)
        yield* server.prints(/Server listening on 5201 \(test #2\)/)
        // One that is stopped in order says so.
        const third = yield* kernel.spawn("iperf3", "-c", STACK, "-t", "30", "--forceflush")
        yield* third.prints(/ 0\.00-1\.\d\d /)
        yield* third.kill("SIGINT")
        yield* server.prints(/strata: the client has terminated\n/)
        expect((yield* linuxClient("-t", "1")).exitCode).toBe(0)
      }))

    it.effect("strata is told that the server is busy, and what was measured when it is killed or stopped", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* linuxServer()
        const other = yield* kernel.spawn("iperf3", "-c", "127.0.0.1", "-t", "30", "-b", "1M", "--forceflush")
        yield* other.prints(/ 0\.00-1\.\d\d /)
        const refused = yield* strataClient("-t", "1")
        expect([refused.exitCode, refused.stderr]).toEqual([
          1,
          "strata: the server is busy with another test; try again later\n"
        ])
        yield* other.kill("SIGINT")
        yield* server.prints(/\(test #2\)/)
        const client = yield* kernel.spawn(...strata, "iperf3", "-c", KERNEL, "-t", "30", "-b", "10M")
        yield* client.prints(/ 0\.00-1\.\d\d /)
        yield* server.kill("SIGKILL")
        const { exitCode, stderr, stdout } = yield* client.result
        expect(stdout).toMatch(/\[ {2}5\] {3}0\.00-[^\n]* sender\n$/)
        expect(stderr).toMatch(/^strata: the server has gone in the middle of the test[^\n]*\n$/)
        expect(exitCode).toBe(1)
      }))

    it.effect("a client of strata that is stopped ends its test in order, and tells what was measured", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* linuxServer()
        const client = yield* kernel.spawn(...strata, "iperf3", "-c", KERNEL, "-t", "30", "-b", "10M")
        yield* client.prints(/ 0\.00-1\.\d\d /)
        yield* client.kill("SIGINT")
        expect((yield* client.result).stdout).toMatch(/\[ {2}5\] {3}0\.00-[^\n]* sender\n$/)
        yield* server.prints(/the client has terminated/)
      }))

    it.effect("a server of strata that is stopped says so, and one of one test leaves after it", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* kernel.spawn(...strata, "--log-level", "info", "iperf3", "-s", "-1", "-J")
        yield* server.prints(/tcp\.bind: success: [^\n]* port=5201/)
        const reported = yield* linuxClient("-t", "1", "-b", "10M", "--get-server-output", "-J")
        const { exitCode, stdout } = yield* server.result
        expect(exitCode).toBe(0)
        const own = parse(stdout.slice(stdout.indexOf("{")))
        const { server_output_json: output } = parse(reported.stdout)
        expect(output.end.sum_received.bytes).toBe(own.end.sum_received.bytes)
        expect(output.start.test_start).toEqual(own.start.test_start)

        const stopped = yield* strataServer()
        const client = yield* kernel.spawn("iperf3", "-c", STACK, "-t", "30", "--forceflush")
        yield* client.prints(/ 0\.00-1\.\d\d /)
        yield* stopped.kill("SIGINT")
        expect((yield* client.result).stderr).toContain("the server has terminated")
        expect((yield* stopped.result).stdout).toMatch(/ receiver\n$/)
      }))

    it.effect("nobody listens: one line", () =>
      Effect.gen(function*() {
        const { exitCode, stderr, stdout } = yield* strataClient("-p", "5999", "-t", "1")
        expect(stdout).toBe(`Connecting to host ${KERNEL}, port 5999\n`)
        expect(stderr).toMatch(/^strata: 192\.0\.2\.1:5999 refused the connection[^\n]*\n$/)
        expect(exitCode).toBe(1)
      }))
  })
})
