/**
 * The commands of strata as processes beside the kernel, at the two ends of a
 * TAP.
 */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { allEnd, descendantsOf, strata } from "../cli/process.ts"
import { KERNEL, Kernel, STACK, tcpPeer, tcpReports, udpPeer } from "../support/linux.ts"
import { describeLinux } from "../support/namespace.ts"
import { patterned } from "../support/transfer.ts"

const MiB = 1024 * 1024

/** Starts a server and waits until it says that it is ready. */
const startServer = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const server = yield* (yield* Kernel).spawn(...strata, ...args)
  yield* server.prints(/(strata serves|echo server) on .*\n/)
  return server
})

/** Runs a client to its end, with that stdin. */
const client = Effect.fnUntraced(function*(input: string, ...args: ReadonlyArray<string>) {
  return yield* (yield* Kernel).execWith({ input }, ...strata, ...args)
})

/** Resident memory of a process in octets. */
const resident = (pid: number): number =>
  1024 * Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])

describeLinux("Linux, the command line", ["nc", "ping", "setpriv", "ethtool"], () => {
  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("serve offers echo, discard, daytime and chargen", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* startServer("serve")
        expect(server.stdout()).toBe(
          `strata serves on ${STACK} (tap:tap0): echo 7 (tcp, udp), discard 9 (tcp), daytime 13 (tcp), chargen 19 (tcp)\n`
        )
        const echoed = yield* kernel.execWith({ input: "foo\nbar\n" }, "nc", "-N", STACK, "7")
        expect([echoed.exitCode, echoed.stdout]).toEqual([0, "foo\nbar\n"])
        const udp = yield* kernel.spawn("nc", "-u", STACK, "7")
        yield* udp.write("datagram\n")
        yield* udp.prints(/^datagram\n$/)
        const discarded = yield* kernel.execWith({ input: new Uint8Array(MiB) }, "nc", "-N", STACK, "9")
        expect([discarded.exitCode, discarded.stdout]).toEqual([0, ""])
        const daytime = yield* kernel.exec("nc", "-d", STACK, "13")
        expect(daytime.stdout).toMatch(
          /^(Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, [A-Z][a-z]+ \d{1,2}, \d{4} \d\d:\d\d:\d\d-UTC\r\n$/
        )
        const lines = (yield* kernel.exec("sh", "-c", `nc -d ${STACK} 19 | head -n 96`)).stdout.split("\r\n")
        expect(lines.slice(0, 96).every((line) => line.length === 72)).toBe(true)
        expect(lines[1]).toBe(lines[0]!.slice(1) + "h")
        expect(lines[95]).toBe(lines[0])
        yield* server.kill("SIGTERM")
        const { exitCode, stderr } = yield* server.result
        expect(exitCode).toBe(0)
        // What an operator wants to read, and no packets.
        expect(stderr).toContain("[I] devices.open: dev=tap0, state=up\n")
        expect(stderr).toContain("[I] tcp.bind: success: addr=0.0.0.0, port=19\n")
        expect(stderr).toMatch(/^(\d\d:\d\d:\d\d\.\d{3} \[I\] [^\n]+\n)+$/)
      }))

    it.effect("--log-level debug shows each packet, --hexdump its bytes, and none nothing", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const say = (...options: ReadonlyArray<string>) =>
          Effect.scoped(Effect.gen(function*() {
            const server = yield* startServer(...options, "tcps", "7")
            yield* kernel.execWith({ input: "Find me\n" }, "nc", "-N", STACK, "7")
            yield* server.kill("SIGINT")
            return (yield* server.result).stderr
          }))
        const debug = yield* say("--log-level", "debug")
        expect(debug).toMatch(/\[D\] tcp\.input: 192\.0\.2\.1:\d+ => 192\.0\.2\.2:7, /)
        expect(debug).toMatch(/^ +flg: 0x02 \(------S-\)$/m)
        expect(debug).not.toContain("|Find me")
        expect(yield* say("--log-level", "debug", "--hexdump")).toContain("|Find me.|")
        expect(yield* say("--log-level", "none")).toBe("")
      }))

    it.effect("serve leaves out what has port 0, and takes other ports and addresses", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* startServer(
          "--address",
          "192.0.2.9/24",
          "serve",
          "--echo",
          "2007",
          "--discard",
          "0",
          "--daytime",
          "0",
          "--chargen",
          "0"
        )
        expect(server.stdout()).toBe("strata serves on 192.0.2.9 (tap:tap0): echo 2007 (tcp, udp)\n")
        const echoed = yield* kernel.execWith({ input: "here\n" }, "nc", "-N", "192.0.2.9", "2007")
        expect(echoed.stdout).toBe("here\n")
        for (const port of ["7", "9", "13", "19"]) {
          expect((yield* kernel.exec("nc", "-z", "192.0.2.9", port)).exitCode).toBe(1)
        }
      }))

    it.effect("serve without any service answers ping", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const none = ["--echo", "--discard", "--daytime", "--chargen"].flatMap((service) => [service, "0"])
        const server = yield* kernel.spawn(...strata, "serve", ...none)
        yield* server.prints(/strata answers .*\n/)
        expect(server.stdout()).toBe(`strata answers ping on ${STACK} (tap:tap0)\n`)
        const { stdout } = yield* kernel.exec("ping", "-c", "1", STACK)
        expect(stdout).toMatch(/1 packets transmitted, 1 received/)
        yield* server.kill("SIGINT")
        expect((yield* server.result).exitCode).toBe(0)
      }))

    it.effect.each(
      [
        ["tap", "tuntap add mode tap name lost", "lost"],
        ["packet", "link add lost type veth peer name other", "other"]
      ] as const
    )("a server whose interface is removed says so and ends: %s", ([kind, make, removed]) =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("ip", ...make.split(" "))
        yield* kernel.succeed("ip", "link", "set", "lost", "up")
        const server = yield* startServer("--device", `${kind}:lost`, "--address", "198.51.100.2/24", "serve")
        yield* kernel.succeed("ip", "link", "delete", removed)
        const { exitCode, stderr, stdout } = yield* server.result
        expect(stderr).toMatch(/\nstrata: lost: the interface was removed; [^\n]+\n$/)
        expect(stderr).toContain("[I] devices.close: dev=lost, state=down\n")
        expect(stdout.split("\n")).toHaveLength(2)
        expect(exitCode).toBe(1)
      }))

    it.effect("chargen keeps nothing for a reader that does not read", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* startServer("serve")
        const before = resident(server.pid)
        for (let reader = 0; reader < 4; reader++) {
          yield* kernel.spawn(
            process.execPath,
            "-e",
            `require("node:net").connect(19, "${STACK}").pause(); setTimeout(() => {}, 30_000)`
          )
        }
        yield* Effect.sleep("3 seconds")
        expect(resident(server.pid) - before).toBeLessThan(64 * MiB)
        // Others are served meanwhile.
        const echoed = yield* kernel.execWith({ input: "still here\n" }, "nc", "-N", STACK, "7")
        expect(echoed.stdout).toBe("still here\n")
      }))

    it.effect.each(["SIGINT", "SIGTERM"] as const)(
      "%s closes connections and the device, exit code 0",
      (signal) =>
        Effect.gen(function*() {
          const kernel = yield* Kernel
          const server = yield* startServer("tcps", STACK, "7")
          expect(server.stdout()).toBe(`TCP echo server on ${STACK}, port 7\n`)
          // Answers the FIN with its own, and would report a reset as an error.
          const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 1000, end: "afterReceiving" })
          yield* peer.prints(/as much came back/)
          const idle = yield* kernel.spawn("nc", STACK, "7")
          yield* idle.write("hello\n")
          yield* idle.prints(/hello/)
          yield* server.kill(signal)
          const { exitCode, stderr } = yield* server.result
          expect(exitCode).toBe(0)
          expect(stderr).toMatch(/devices\.close: dev=tap0, state=down\n/)
          const [report] = yield* tcpReports(peer)
          expect(report).toMatchObject({ sent: 1000, received: 1000, ended: true })
          expect(report).not.toHaveProperty("error")
        })
    )

    it.effect("a signal to npx alone ends the program too, and frees the device", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const npx = yield* kernel.spawn("npx", "strata", "tcps", "7")
        yield* npx.prints(/echo server/)
        const programs = descendantsOf(npx.pid)
        process.kill(npx.pid, "SIGTERM")
        yield* allEnd(programs)
        yield* startServer("tcps", "7")
      }))

    it.effect("a second server on the same device is told so", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* startServer("tcps", "7")
        const second = yield* kernel.exec(...strata, "tcps", "8")
        expect(second.stderr).toMatch(/^strata: tap0: another program has it open[^\n]*\n$/)
        expect(second.exitCode).toBe(1)
      }))

    it.effect.each(
      [
        ["--address 192.0.2.0/24 tcps 7", /192\.0\.2\.0\/24 cannot be the address of a host/],
        ["--gateway 10.0.0.1 tcps 7", /the gateway 10\.0\.0\.1 is on no connected network/],
        ["--device tap:lo tcps 7", /"lo" cannot be opened: it exists and is not a TAP/],
        ["--device packet:nothing tcps 7", /nothing: there is no such network interface/],
        ["tcps 10.0.0.1 7", /10\.0\.0\.1 is not an address of this stack/],
        ["udps 10.0.0.1 7", /10\.0\.0\.1 is not an address of this stack/],
        ["--log-level info tcpc -s 10.0.0.1 192.0.2.1:7", /10\.0\.0\.1 is not an address of this stack/],
        ["serve --echo 13", /--echo and --daytime cannot both have TCP port 13/],
        ["ping -I 10.0.0.1 192.0.2.1", /10\.0\.0\.1 is not an address of this stack/],
        ["tcpc -s 10.0.0.1 192.0.2.1:7", /10\.0\.0\.1 is not an address of this stack/],
        ["udpc 255.255.255.255:7", /255\.255\.255\.255 is a broadcast address/]
      ] as const
    )("`%s` fails with one line", ([args, reason]) =>
      Effect.gen(function*() {
        const { exitCode, stderr, stdout } = yield* client("hello\n", ...args.split(" "))
        expect(stderr).toMatch(/^strata: [^\n]+\n$/)
        expect(stderr).toMatch(reason)
        expect([exitCode, stdout]).toEqual([1, ""])
      }))

    it.effect("a user without privileges is told what is needed", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        const { exitCode, stderr } = yield* kernel.exec(...nobody, ...strata, "tcps", "7")
        expect(stderr).toMatch(/^strata: tap0: no permission to open \/dev\/net\/tun[^\n]*\n$/)
        expect(exitCode).toBe(1)
      }))

    it.effect("udps sends datagrams back", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const server = yield* startServer("udps", STACK, "2007")
        expect(server.stdout()).toBe(`UDP echo server on ${STACK}, port 2007\n`)
        const nc = yield* kernel.spawn("nc", "-u", STACK, "2007")
        yield* nc.write("one\n")
        yield* nc.prints(/^one\n$/)
        yield* server.kill("SIGINT")
        expect((yield* server.result).exitCode).toBe(0)
      }))

    it.effect("tcpc sends stdin, prints what comes back, and ends when both sides have closed", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* tcpPeer(kernel, { listen: 3007, echo: true })
        const { exitCode, stderr, stdout } = yield* client("hello\nworld", "tcpc", `${KERNEL}:3007`)
        expect([exitCode, stdout, stderr]).toEqual([0, "hello\nworld", ""])
      }))

    it.effect("tcpc and tcps tell at their end what became of their connections", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* tcpPeer(kernel, { listen: 3011, echo: true })
        const { exitCode, stderr, stdout } = yield* client("hello\nworld", "tcpc", "--info", `${KERNEL}:3011`)
        expect([exitCode, stdout]).toEqual([0, "hello\nworld"])
        const [head, line, ...counters] = stderr.split("\n")
        expect(head).toMatch(new RegExp(`^[A-Z1-2-]+ 0 0 ${STACK}:\\d+ ${KERNEL}:3011$`))
        expect(line).toMatch(/^\t ts sack cubic .* bytes_sent:11 bytes_acked:11 bytes_received:11 /)
        expect(counters).toContain("TcpActiveOpens                  1")
        expect(counters.join("\n")).not.toMatch(/Retrans|Timeouts/)

        const server = yield* startServer("tcps", "--info", "3012")
        const nc = yield* kernel.spawn("nc", STACK, "3012")
        yield* nc.write("one\n")
        yield* nc.prints(/^one\n$/)
        yield* server.kill("SIGINT")
        const told = yield* server.result
        expect(told.stderr).toContain(`ESTAB 0 0 ${STACK}:3012 ${KERNEL}:`)
        expect(told.stderr).toContain("TcpPassiveOpens                 1\n")
      }))

    it.effect.each(["on", "off"])("all arrives as it was sent, with --offload %s", (offload) =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const input = patterned(MiB, 1)
        const server = yield* startServer("--offload", offload, "serve")
        const { stdout: features } = yield* kernel.succeed("ethtool", "-k", "tap0")
        expect(features).toContain(`tcp-segmentation-offload: ${offload}\n`)
        const echoed = yield* kernel.execWith({ input }, "nc", "-N", STACK, "7")
        expect(Buffer.compare(echoed.bytes, input)).toBe(0)
        const pinged = yield* kernel.exec("ping", "-c", "1", "-s", "20000", STACK)
        expect(pinged.stdout).toMatch(/20008 bytes from 192\.0\.2\.2: icmp_seq=1 /)
        yield* server.kill("SIGTERM")
        yield* server.result

        const peer = yield* tcpPeer(kernel, { listen: 3013, echo: true })
        yield* peer.prints(/listening/)
        const answered = yield* kernel.execWith({ input }, ...strata, "--offload", offload, "tcpc", `${KERNEL}:3013`)
        expect(Buffer.compare(answered.bytes, input)).toBe(0)
        const echo = yield* udpPeer(kernel, { echo: 3014 })
        yield* echo.prints(/listening/)
        const line = `${"x".repeat(5000)}\n`
        expect((yield* client(line, "--offload", offload, "udpc", `${KERNEL}:3014`)).stdout).toBe(line)
      }))

    it.effect("tcpc sends from the address and port it is told to", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* kernel.spawn("nc", "-v", "-n", "-l", "3008")
        yield* listener.prints(/Listening/i)
        const running = yield* kernel.spawn(...strata, "tcpc", "-s", STACK, "-p", "4567", `${KERNEL}:3008`)
        yield* listener.prints(new RegExp(`${STACK} 4567`))
        yield* listener.write("greetings\n")
        yield* running.prints(/^greetings\n$/)
        yield* running.write("and back\n")
        yield* listener.prints(/and back/)
        // The kernel's side goes first; stdin of tcpc is still open.
        yield* listener.kill("SIGTERM")
        expect((yield* running.result).exitCode).toBe(0)
      }))

    it.effect("tcpc to a port nobody has fails at once, in one line", () =>
      Effect.gen(function*() {
        const { exitCode, stderr } = yield* client("", "tcpc", `${KERNEL}:3999`)
        expect(stderr).toMatch(/^strata: 192\.0\.2\.1:3999 refused the connection[^\n]*\n$/)
        expect(exitCode).toBe(1)
      }))

    it.effect("udpc sends each line as a datagram and prints the answers", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const echo = yield* kernel.spawn(
          process.execPath,
          "-e",
          `const socket = require("node:dgram").createSocket("udp4")
           socket.on("message", (message, from) => socket.send("<" + message + ">", from.port, from.address))
           socket.bind(3009, () => console.error("listening"))`
        )
        yield* echo.prints(/listening/)
        const { exitCode, stdout } = yield* client("one\ntwo\n", "udpc", `${KERNEL}:3009`)
        expect([exitCode, stdout]).toEqual([0, "<one\n><two\n>"])
      }))

    it.effect("udpc loses no lines while it looks for the neighbour", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const echo = yield* udpPeer(kernel, { echo: 3010 })
        yield* echo.prints(/listening/)
        const input = Array.from({ length: 300 }, (_, index) => `line ${index}\n`).join("")
        expect((yield* client(input, "udpc", `${KERNEL}:3010`)).stdout).toBe(input)
        const nobody = yield* client("anybody?\n", "udpc", "192.0.2.77:7")
        expect(nobody.stderr).toMatch(/^strata: nobody on tap0 answered for 192\.0\.2\.77\n$/)
        expect(nobody.exitCode).toBe(1)
      }))

    it.effect("udpc is told that nobody listens", () =>
      Effect.gen(function*() {
        const { exitCode, stderr } = yield* client("anybody?\n", "udpc", `${KERNEL}:3998`)
        expect(stderr).toMatch(/^strata: nothing listens on udp 192\.0\.2\.1:3998\n$/)
        expect(exitCode).toBe(1)
      }))

    it.effect("ping asks the kernel, with the payload it is told to", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode, stdout } = yield* kernel.exec(
          ...strata,
          "ping",
          "-c",
          "3",
          "-i",
          "0.2",
          "-s",
          "4000",
          KERNEL
        )
        expect(stdout).toMatch(/^PING 192\.0\.2\.1 \(192\.0\.2\.1\) 4000\(4028\) bytes of data\.\n/)
        expect(stdout.match(/^4008 bytes from 192\.0\.2\.1: icmp_seq=\d ttl=64 time=[\d.]+ ms$/gm)).toHaveLength(3)
        expect(stdout).toMatch(
          /\n3 packets transmitted, 3 received, 0% packet loss, time \d+ms\nrtt min\/avg\/max\/mdev = /
        )
        expect(exitCode).toBe(0)
      }))

    it.effect("ping of a host that is not there ends with exit code 1", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const { exitCode, stdout } = yield* kernel.exec(...strata, "ping", "-c", "1", "192.0.2.77")
        expect(stdout).toMatch(/From 192\.0\.2\.2 icmp_seq=1 Destination Host Unreachable\n/)
        expect(stdout).toMatch(/1 packets transmitted, 0 received, \+1 errors, 100% packet loss/)
        expect(exitCode).toBe(1)
      }))

    it.effect("a reader of stdout that goes away ends the program quietly", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const command = [...strata, "ping", "-i", "0.2", KERNEL].join(" ")
        const { stderr, stdout } = yield* kernel.exec("bash", "-c", `${command} | head -n 1; echo "\${PIPESTATUS[0]}"`)
        expect(stdout).toMatch(/^PING [^\n]*\n0\n$/)
        expect(stderr).toBe("")
      }))

    it.effect("the packet device uses the interface's own hardware address", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
        yield* kernel.succeed("ip", "link", "set", "right", "address", "02:00:00:00:00:99", "up")
        yield* kernel.succeed("ip", "addr", "add", "198.51.100.1/24", "dev", "left")
        yield* kernel.succeed("ip", "link", "set", "left", "up")
        yield* startServer("--device", "packet:right", "--address", "198.51.100.2/24", "tcps", "7")
        const echoed = yield* kernel.execWith({ input: "over a packet socket\n" }, "nc", "-N", "198.51.100.2", "7")
        expect(echoed.stdout).toBe("over a packet socket\n")
        const neighbours = yield* kernel.succeed("ip", "neigh", "show", "198.51.100.2")
        expect(neighbours.stdout).toContain("02:00:00:00:00:99")
      }))
  })
})
