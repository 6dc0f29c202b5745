/**
 * The demo as a user runs it: against the kernel, and, where that is made
 * impossible, in memory.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { allEnd, descendantsOf, type Ended, isAlive, run, start, strata } from "../cli/process.ts"
import { describeLinux } from "../support/namespace.ts"

const demo = [...strata, "demo"]

/** What a shell runs first, in a mount namespace of its own. */
const after = (preparation: string, command: ReadonlyArray<string>): ReadonlyArray<string> => [
  "unshare",
  "--mount",
  "sh",
  "-ec",
  `${preparation}; exec "$@"`,
  "sh",
  ...command
]

const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

const expectExchange = ({ code, stderr, stdout }: Ended) => {
  expect(stdout).toMatch(/3 packets transmitted, 3 received, 0% packet loss/)
  expect(stdout).toMatch(/\n {2}ping +3 of 3 requests answered, [\d.]+ ms on average\n/)
  expect(stdout).toMatch(/\n {2}tcp +48 bytes there and back/)
  expect(stdout).toMatch(/\n {2}udp +3 datagrams there and back\n/)
  expect(stdout).toMatch(/\n {2}frames +\d+ in \(\d+ bytes\), \d+ out \(\d+ bytes\)\n {2}drops +none\n$/)
  for (const line of ["arp.input", "icmp.input", "tcp.input", "udp.input", "ethernet.output"]) {
    expect(stderr).toContain(`[D] ${line}: `)
  }
  expect(code).toBe(0)
}

const expectInMemory = (ended: Ended, reason: string | RegExp) => {
  expectExchange(ended)
  const lines = ended.stdout.split("\n")
  const end = lines.findIndex((line) => line.includes("two hosts of strata talk over a wire in memory"))
  expect(end).toBeGreaterThan(0)
  for (const line of lines.slice(0, end)) {
    expect(line).toMatch(/^Not against the kernel: /)
    expect(line).toMatch(reason)
  }
}

describeLinux("Linux, the demo", ["ping", "unshare", "setpriv"], () => {
  it.live("answers the kernel in a network namespace of its own", () =>
    Effect.gen(function*() {
      const before = readdirSync("/sys/class/net")
      const ended = yield* run(["npx", "strata", "demo"])
      expectExchange({ ...ended, code: ended.code })
      expect(ended.stdout).toMatch(/^A host of strata is 192\.0\.2\.2 on the device tap0/)
      expect(ended.stdout).toContain("64 bytes from 192.0.2.2: icmp_seq=3 ttl=64")
      expect(readdirSync("/sys/class/net")).toEqual(before)
    }))

  it.live("does the same for a user without privileges who may open /dev/net/tun", () =>
    Effect.gen(function*() {
      const preparation = "mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200"
      const ended = yield* run(after(preparation, [...asNobody, ...demo]))
      expectExchange(ended)
      expect(ended.stdout).toMatch(/^A host of strata is 192\.0\.2\.2 on the device tap0/)
    }))

  it.live.each(
    [
      ["/dev/net/tun is missing", "mount -t tmpfs none /dev/net", /TAP: \/dev\/net\/tun is missing/, []],
      ["/dev/net/tun may not be opened", "true", /TAP: no permission to open \/dev\/net\/tun/, asNobody],
      [
        "namespaces are not permitted",
        "mount --bind /bin/false \"$(command -v unshare)\"",
        /network namespaces: .*unshare.* failed/,
        []
      ],
      ["ping is missing", "mount --bind /dev/null \"$(command -v ping)\"", /the program ping is missing/, []],
      [
        "the kernel refuses to make the device",
        "mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 1 3",
        /tap0/,
        []
      ]
    ] as const
  )("tells why and goes on in memory where %s", ([, preparation, reason, as]) =>
    Effect.gen(function*() {
      expectInMemory(yield* run(after(preparation, [...as, ...demo])), reason)
    }))

  it.live("tells that the native drivers are not built, and goes on in memory", () =>
    Effect.gen(function*() {
      const build = new URL("../../build", import.meta.url).pathname
      const ended = yield* run(after(`mount -t tmpfs none ${build}`, demo))
      expectInMemory(ended, /the native drivers are not built/)
    }))

  it.live("can be quiet", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run([...demo, "--log-level", "none"])
      expect([code, stderr]).toEqual([0, ""])
    }))

  it.live.each(["SIGINT", "SIGTERM"] as const)(
    "%s in the middle leaves nothing behind",
    (signal) =>
      Effect.gen(function*() {
        const program = yield* start(demo)
        yield* program.prints(/icmp_seq=1/)
        const others = descendantsOf(program.pid)
        expect(others.length).toBeGreaterThanOrEqual(2)
        program.kill(signal)
        expect((yield* program.ended).code).toBe(0)
        expect(others.filter(isAlive)).toEqual([])
      }).pipe(Effect.scoped)
  )

  it.live.each([0, 100, 200, 300, 400, 600, 800])(
    "a signal after %d ms leaves nothing behind",
    (milliseconds) =>
      Effect.gen(function*() {
        const program = yield* start(demo)
        yield* Effect.sleep(milliseconds)
        const others = isAlive(program.pid) ? descendantsOf(program.pid) : []
        program.kill("SIGINT")
        yield* program.ended
        expect(others.filter(isAlive)).toEqual([])
      }).pipe(Effect.scoped)
  )

  it.live("what is in the namespace ends when the process outside is killed", () =>
    Effect.gen(function*() {
      const program = yield* start(demo)
      yield* program.prints(/icmp_seq=1/)
      const others = descendantsOf(program.pid)
      program.kill("SIGKILL")
      yield* allEnd(others)
    }).pipe(Effect.scoped))

  it.live("does not run outside of a namespace when asked to by its own hidden option", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run([
        "sh",
        "-c",
        `exec "$@" "$(readlink /proc/self/ns/net)"`,
        "sh",
        ...demo,
        "--outside"
      ])
      expect(stderr).toMatch(/^strata: [^\n]+\n$/)
      expect(code).toBe(1)
    }))
})
