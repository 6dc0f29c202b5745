/**
 * What the command line says to help and to mistakes.
 */
import { describe, expect, it } from "@effect/vitest"
import { summarize } from "@strata/cli/Exit"
import { program } from "@strata/cli/run"
import { Effect } from "effect"
import { run, runStrata } from "./process.ts"

/** Bad input, and what the one line about it must name. */
const mistakes: ReadonlyArray<readonly [args: string, mentions: ReadonlyArray<string>]> = [
  ["nonsense", ["nonsense"]],
  ["serve --bogus", ["--bogus"]],
  ["serve extra", ["extra"]],
  ["serve --echo 65536", ["--echo", "65536", "port"]],
  ["serve --echo seven", ["--echo", "seven"]],
  ["serve --echo 13 --device none", ["--echo", "--daytime", "TCP port 13"]],
  ["serve --discard 2000 --chargen 2000 --device none", ["--discard", "--chargen", "TCP port 2000"]],
  ["tcps --device none 10.1.1.1 7", ["10.1.1.1 is not an address of this stack"]],
  ["udps --device none 10.1.1.1 7", ["10.1.1.1 is not an address of this stack"]],
  ["ping --device none -I 10.1.1.1 127.0.0.1", ["10.1.1.1 is not an address of this stack"]],
  ["ping -I lo 127.0.0.1", ["--source", "lo", "IPv4 address"]],
  ["serve --device eth0", ["--device", "eth0", "tap:tap0"]],
  ["serve --device tap:a-name-that-is-too-long", ["--device"]],
  ["serve --device tun:tun0", ["--device"]],
  ["serve --address 192.0.2.2", ["--address", "192.0.2.2/24"]],
  ["serve --address 192.0.2.2/33", ["--address"]],
  ["serve --address 2001:db8::1/64", ["--address", "IPv4"]],
  ["serve --gateway 192.0.2", ["--gateway"]],
  ["serve --mac 00:00:5e:00:53", ["--mac"]],
  ["serve --mac ff:ff:ff:ff:ff:ff", ["--mac"]],
  ["serve --mac 00:00:00:00:00:00", ["--mac"]],
  ["serve --log-level loud", ["--log-level", "debug"]],
  ["serve --offload maybe", ["--offload", "maybe", "on, off", "checksum"]],
  ["serve --offload tcp,", ["--offload"]],
  ["serve --congestion vegas", ["--congestion", "vegas", "reno", "cubic", "bbr"]],
  ["tcps", ["port"]],
  ["tcps 0", ["port"]],
  ["tcps somewhere 7", ["somewhere 7"]],
  ["tcps 192.0.2.2 7 8", ["8"]],
  ["udps 192.0.2.2 port", ["192.0.2.2 port"]],
  ["tcpc 192.0.2.1", ["host:port"]],
  ["tcpc 192.0.2.1:0", ["192.0.2.1:0"]],
  ["tcpc -p 70000 192.0.2.1:7", ["70000"]],
  ["udpc -s localhost 192.0.2.1:7", ["localhost"]],
  ["ping", ["host"]],
  ["ping 192.0.2.256", ["192.0.2.256"]],
  ["ping -c 0 192.0.2.1", ["--count"]],
  ["ping -s 65508 192.0.2.1", ["--size", "65507"]],
  ["ping -i soon 192.0.2.1", ["--interval"]],
  ["ping --count", ["--count"]],
  ["iperf3", ["--server", "--client"]],
  ["iperf3 -s -c 192.0.2.1", ["--server", "--client"]],
  ["iperf3 -s -t 5", ["--time", "clients only"]],
  ["iperf3 -c 192.0.2.1 -1", ["--one-off", "servers only"]],
  ["iperf3 -c somewhere", ["--client", "somewhere"]],
  ["iperf3 -c 192.0.2.1 -R --bidir", ["--reverse", "--bidir"]],
  ["iperf3 -c 192.0.2.1 -t 0", ["--time", "86400"]],
  ["iperf3 -c 192.0.2.1 -t5 -n 1M", ["time", "bytes"]],
  ["iperf3 -c 192.0.2.1 -P129", ["--parallel", "128"]],
  ["iperf3 -c 192.0.2.1 -n lots", ["--bytes", "lots", "10M"]],
  ["iperf3 -c 192.0.2.1 -b 10Q", ["--bitrate", "10Q", "100M"]],
  ["iperf3 -c 192.0.2.1 -ul 8", ["16", "65507"]],
  ["iperf3 -c 192.0.2.1 -l 2M", ["1048576"]],
  ["iperf3 -c 192.0.2.1 -f x", ["--format", "x"]],
  ["iperf3 -c 192.0.2.1 -C vegas", ["--linux-congestion", "vegas", "bbr"]],
  ["demo --device tap:tap0", ["--device"]]
]

/** What the process would print on stderr, and its exit code. */
const answer = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const lines: Array<string> = []
  const exit = yield* Effect.exit(program(args, (line) => lines.push(line)))
  const { code, line } = summarize(exit)
  return { code, lines: line === undefined ? lines : [...lines, line] }
})

describe("strata", () => {
  it.live.each(mistakes)("answers `%s` with one line", ([args, mentions]) =>
    Effect.gen(function*() {
      const { code, lines } = yield* answer(args.split(" "))
      expect(lines).toEqual([expect.stringMatching(/^strata: [^\n]+$/)])
      for (const mention of mentions) expect(lines[0]).toContain(mention)
      expect(code).toBe(1)
    }))

  it.effect.each(["serve --echo 65536", "demo --device tap:tap0", "tcps --device none 10.1.1.1 7"])(
    "does so as a process: `%s`",
    (args) =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* runStrata(...args.split(" "))
        expect(stderr).toMatch(/^strata: [^\n]+\n$/)
        expect([code, stdout]).toEqual([1, ""])
      }),
    30_000
  )

  it.effect("explains itself and each command", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* runStrata("--help")
      for (const command of ["serve", "tcps", "tcpc", "udps", "udpc", "ping", "iperf3", "demo"]) {
        expect(stdout).toContain(command)
      }
      for (const option of ["device", "address", "gateway", "mac", "offload", "congestion", "log-level", "hexdump"]) {
        expect(stdout).toContain(`--${option}`)
      }
      expect([code, stderr]).toEqual([0, ""])
      const ping = yield* runStrata("ping", "--help")
      for (const option of ["--count, -c", "--interval, -i", "--size, -s", "--source, -I"]) {
        expect(ping.stdout).toContain(option)
      }
      expect(ping.stdout).not.toContain("--outside")
    }), 30_000)

  it.effect("pings from the address it is told to", () =>
    Effect.gen(function*() {
      const args = ["ping", "--device", "none", "-c", "1", "-I", "127.0.0.9", "127.0.0.1"]
      const { code, stdout } = yield* runStrata(...args)
      expect(stdout).toMatch(
        /^PING 127\.0\.0\.1 \(127\.0\.0\.1\) from 127\.0\.0\.9 : 56\(84\) bytes of data\.\n64 bytes /
      )
      expect(code).toBe(0)
    }), 30_000)

  it.effect("runs from the checkout as `npx strata`", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* run(["npx", "strata", "--version"])
      expect(stdout).toMatch(/^strata v\d+\.\d+\.\d+\n$/)
      expect(code).toBe(0)
    }), 30_000)
})
