/**
 * TCP connections between the stack and the kernel: opened, closed, refused, reset.
 */
import { expect, layer } from "@effect/vitest"
import { Tcp } from "@strata/core"
import type { Connection, Listener } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK, tcpPeer, tcpReports } from "../support/linux.ts"
import { type Namespace } from "../support/namespace.ts"
import { inet } from "../support/Probe.ts"
import { digest, patterned, readAll } from "../support/transfer.ts"

/** Sends back what arrives on one connection, and closes after the peer did. */
const echo = (connection: Connection) =>
  Effect.forever(Effect.flatMap(connection.read, (chunks) => Effect.forEach(chunks, connection.write))).pipe(
    Effect.catchTag("Done", () => connection.closeWrite),
    Effect.andThen(connection.closed)
  )

const serve = <E, R>(listener: Listener, handle: (connection: Connection) => Effect.Effect<void, E, R>) =>
  Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    const connection = yield* listener.accept
    yield* Effect.forkScoped(Effect.ignore(handle(connection)))
  })))

/** curl looks at the network only after each full buffer of its input, so it is given lines by the thousand. */
const curlTelnet = Effect.fnUntraced(function*(kernel: Namespace, port: number) {
  const curl = yield* kernel.spawn("curl", "-sS", "--max-time", "20", `telnet://${STACK}:${port}`)
  const lines = curl.write("one more line\n".repeat(1000)).pipe(Effect.andThen(Effect.sleep(20)))
  yield* Effect.forkScoped(Effect.forever(lines))
  return curl
})

describeOffloads("Linux, TCP", ["nc", "curl"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("nc gets back what it sends", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* serve(yield* (yield* Tcp).listen({ port: 7 }), echo)
        const text = "hello\n".repeat(20_000)
        const { exitCode, stdout } = yield* kernel.execWith({ input: text }, "nc", "-N", STACK, "7")
        expect(exitCode).toBe(0)
        expect(stdout).toBe(text)
      }))

    it.effect("the stack talks to nc -l", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listening = yield* kernel.spawn("nc", "-v", "-n", "-l", "-p", "9000")
        yield* listening.prints(/Listening/)
        const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
        yield* connection.write(new TextEncoder().encode("from the stack\n"))
        yield* listening.prints(/from the stack\n/)
        yield* listening.write("from the kernel\n")
        const [answer] = yield* connection.read
        expect(new TextDecoder().decode(answer)).toBe("from the kernel\n")
        yield* connection.closeWrite
        yield* listening.endInput
        expect((yield* listening.result).exitCode).toBe(0)
        yield* connection.closed
      }))

    it.effect("curl telnet:// shows what the server says until it closes", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* serve(yield* (yield* Tcp).listen({ port: 13 }), (connection) =>
          Effect.gen(function*() {
            yield* connection.write(new TextEncoder().encode("the time of day\r\n"))
            yield* connection.closeWrite
            yield* connection.closed
          }))
        const curl = yield* curlTelnet(kernel, 13)
        expect((yield* curl.result).stdout).toBe("the time of day\r\n")
      }))

    it.effect("curl telnet:// holds a conversation", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* serve(yield* (yield* Tcp).listen({ port: 7 }), echo)
        const curl = yield* curlTelnet(kernel, 7)
        yield* curl.prints(/^(one more line\n){3}/)
      }))

    it.effect("a port nobody listens on refuses, here and there", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 4444 } })
        expect(yield* tcpReports(peer)).toMatchObject([{ error: "ECONNREFUSED" }])
        const error = yield* Effect.flip((yield* Tcp).connect({ remote: inet(KERNEL, 4444) }))
        expect(error.reason._tag).toBe("ConnectionRefused")
      }))

    it.effect("200 connections at once to the stack's echo server", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* serve(yield* (yield* Tcp).listen({ port: 7, backlog: 256 }), echo)
        const peer = yield* tcpPeer(kernel, {
          connect: { host: STACK, port: 7 },
          connections: 200,
          send: 50_000
        })
        const reports = yield* tcpReports(peer)
        expect(reports).toHaveLength(200)
        for (const report of reports) {
          expect(report).toMatchObject({ sent: 50_000, received: 50_000, receivedHash: report.sentHash, ended: true })
        }
      }))

    it.effect("200 connections at once from the stack to the kernel's echo server", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* tcpPeer(kernel, { listen: 9001, echo: true })
        yield* peer.prints(/listening/)
        const tcp = yield* Tcp
        const one = Effect.fnUntraced(function*(index: number) {
          const connection = yield* tcp.connect({ remote: inet(KERNEL, 9001) })
          const sent = patterned(50_000, index)
          const reader = yield* Effect.forkChild(readAll(connection))
          yield* connection.write(sent)
          yield* connection.closeWrite
          expect(digest(yield* Fiber.join(reader))).toBe(digest(sent))
          yield* connection.closed
        }, Effect.scoped)
        yield* Effect.forEach(Array.from({ length: 200 }, (_, index) => index), one, { concurrency: "unbounded" })
      }))

    it.effect("the kernel closes its half first, and still gets all that the stack sends", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 100_000 })
        const connection = yield* listener.accept
        const received = yield* readAll(connection)
        expect(connection.state()).toBe("CLOSE-WAIT")
        const answer = patterned(300_000, 1)
        yield* connection.write(answer)
        yield* connection.closeWrite
        yield* connection.closed
        expect(yield* tcpReports(peer)).toMatchObject([{
          sentHash: digest(received),
          received: 300_000,
          receivedHash: digest(answer),
          ended: true
        }])
      }))

    it.effect("the stack closes its half first, and still gets all that the kernel sends", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        // It reads, and so answers, only when the FIN is there.
        const peer = yield* tcpPeer(kernel, { listen: 9002, echo: true, pause: 500 })
        yield* peer.prints(/listening/)
        const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9002) })
        const sent = patterned(50_000, 2)
        yield* connection.write(sent)
        yield* connection.closeWrite
        expect(digest(yield* readAll(connection))).toBe(digest(sent))
        yield* connection.closed
        expect(connection.state()).toBe("TIME-WAIT")
      }))

    it.effect("a program that was killed has closed its connection; what is then sent is reset", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "never" })
        const connection = yield* listener.accept
        yield* peer.prints(/connected/)
        yield* peer.kill("SIGKILL")
        yield* peer.result
        expect(yield* Effect.flip(connection.read)).toMatchObject({ _tag: "Done" })
        const failed = yield* connection.write(patterned(1000, 0)).pipe(
          Effect.andThen(Effect.sleep(5)),
          Effect.forever,
          Effect.flip
        )
        expect(failed.reason._tag).toBe("ConnectionReset")
      }))

    it.effect("a program killed with unread data resets the connection", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "never", pause: 60_000 })
        const connection = yield* listener.accept
        yield* peer.prints(/connected/)
        // More than a paused socket of Node's takes out of the kernel's buffer.
        yield* Effect.forkChild(Effect.ignore(connection.write(patterned(1_000_000, 0))))
        const reader = yield* Effect.forkChild(Effect.flip(connection.read))
        yield* Effect.sleep(200)
        yield* peer.kill("SIGKILL")
        expect(yield* Fiber.join(reader)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
        expect(connection.state()).toBe("CLOSED")
      }))

    it.effect("a reset from the kernel fails reading and writing", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "never", resetAfter: 10 })
        const connection = yield* listener.accept
        yield* connection.write(patterned(10, 0))
        expect(yield* Effect.flip(connection.read)).toMatchObject({ reason: { _tag: "ConnectionReset" } })
        const failed = yield* Effect.flip(connection.write(patterned(10, 0)))
        expect(failed.reason._tag).toBe("ConnectionReset")
      }))

    it.effect("abort resets the kernel's end", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "never" })
        const connection = yield* listener.accept
        yield* peer.prints(/connected/)
        yield* connection.abort
        expect(yield* tcpReports(peer)).toMatchObject([{ error: "ECONNRESET" }])
      }))

    it.effect("closing the scope closes the connection in order: the peer gets all that was written", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const peer = yield* tcpPeer(kernel, {
          connect: { host: STACK, port: 7 },
          end: "afterReceiving",
          pause: 300
        })
        const sent = patterned(200_000, 3)
        yield* Effect.scoped(Effect.flatMap(listener.accept, (connection) => connection.write(sent)))
        expect(yield* tcpReports(peer)).toMatchObject([{ received: 200_000, receivedHash: digest(sent), ended: true }])
      }))

    it.effect("a server restarts on the same port at once, though old connections are in TIME-WAIT", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const tcp = yield* Tcp
        for (let round = 0; round < 3; round++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const listener = yield* tcp.listen({ port: 7 })
            const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "afterReceiving" })
            const connection = yield* listener.accept
            yield* connection.write(patterned(10, round))
            yield* connection.closeWrite
            expect(yield* tcpReports(peer)).toMatchObject([{ received: 10, ended: true }])
            yield* connection.closed
            expect(connection.state()).toBe("TIME-WAIT")
          }))
        }
      }))

    it.effect("the kernel's server restarts on the same port, and the stack calls again from its old one", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const tcp = yield* Tcp
        for (let round = 0; round < 3; round++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const peer = yield* tcpPeer(kernel, { listen: 9003, send: 1000 })
            yield* peer.prints(/listening/)
            const connection = yield* tcp.connect({ remote: inet(KERNEL, 9003), localPort: 50_003 })
            expect((yield* readAll(connection)).length).toBe(1000)
            yield* connection.closeWrite
            yield* connection.closed
            expect(connection.state()).toBe("CLOSED")
          }))
        }
      }))

    it.effect("nothing stays behind but connections in TIME-WAIT", () =>
      Effect.gen(function*() {
        const status = yield* (yield* Tcp).status
        expect(status.filter((connection) => connection.state !== "TIME-WAIT")).toEqual([])
      }))
  })
})
