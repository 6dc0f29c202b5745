/**
 * The simple services between two hosts in virtual time, which starts on
 * 2000-01-01, a Saturday.
 */
import { describe, expect, it } from "@effect/vitest"
import { Tcp, Udp } from "@strata/core"
import { SimpleServices, TcpSocket, UdpSocket } from "@strata/sockets"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type Host, leftovers, pair, RIGHT, virtually } from "../support/tcpHosts.ts"
import { patterned } from "../support/transfer.ts"

const on = (host: Host) => Effect.provideService(Tcp, host.tcp)

type Service = keyof Omit<typeof SimpleServices, "echoUdp">

const udp = (host: Host) => Effect.provideContext(Layer.build(Layer.fresh(Udp.layer)), host.context)

/** The right host offers a service on port 7. */
const offering = Effect.fnUntraced(function*(name: Service) {
  const hosts = yield* pair()
  const services = {
    chargen: SimpleServices.chargen,
    daytime: SimpleServices.daytime,
    discard: SimpleServices.discard,
    echo: SimpleServices.echo
  }
  yield* on(hosts.right)(services[name]({ port: 7 }))
  const connect = (options: TcpSocket.LocalOptions = {}) =>
    on(hosts.left)(TcpSocket.connect({ ...options, host: RIGHT, port: 7 }))
  /** Connections that the service still has, once the last acknowledgement had time to arrive. */
  const open = Effect.delay(Effect.map(leftovers(hosts.right), ({ connections }) => connections), "100 millis")
  return { ...hosts, connect, open }
})

const readAll = (socket: TcpSocket.TcpSocket) =>
  Effect.map(Stream.runCollect(socket.incoming), (chunks) => Buffer.concat(chunks))

const readText = (socket: TcpSocket.TcpSocket) => Effect.map(readAll(socket), (bytes) => bytes.toString())

describe("SimpleServices", () => {
  it(
    "echo sends back all it gets, and then closes",
    virtually(Effect.gen(function*() {
      const { connect, open } = yield* offering("echo")
      const socket = yield* connect()
      const sent = patterned(300_000, 1)
      const reader = yield* Effect.forkChild(readAll(socket))
      yield* socket.write(sent)
      yield* socket.closeWrite
      expect(Buffer.compare(yield* Fiber.join(reader), sent)).toBe(0)
      yield* socket.closed
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "echo serves many at a time, and one that breaks off harms no other",
    virtually(Effect.gen(function*() {
      const { connect, open } = yield* offering("echo")
      const sockets = yield* Effect.forEach(Array.from({ length: 100 }), () => connect())
      yield* sockets[50]!.abort
      yield* Effect.forEach(sockets.filter((_, index) => index !== 50), (socket, index) =>
        Effect.gen(function*() {
          yield* socket.write(`number ${index}`)
          yield* socket.closeWrite
          expect(yield* readText(socket)).toBe(`number ${index}`)
        }), { concurrency: "unbounded" })
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "discard takes everything and says nothing",
    virtually(Effect.gen(function*() {
      const { connect, open } = yield* offering("discard")
      const socket = yield* connect()
      yield* socket.write(new Uint8Array(1_000_000))
      yield* socket.closeWrite
      expect(yield* readText(socket)).toBe("")
      yield* socket.closed
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "daytime tells the time and closes",
    virtually(Effect.gen(function*() {
      const { connect } = yield* offering("daytime")
      expect(yield* readText(yield* connect())).toMatch(/^Saturday, January 1, 2000 00:00:00-UTC\r\n$/)
      yield* Effect.sleep(((31 + 29) * 24 * 3600 - 1) * 1000)
      expect(yield* readText(yield* connect())).toMatch(/^Tuesday, February 29, 2000 23:59:59-UTC\r\n$/)
    }))
  )

  it(
    "daytime arrives also where the client says something first, and does not wait for ever",
    virtually(Effect.gen(function*() {
      const { connect, open } = yield* offering("daytime")
      const socket = yield* connect()
      yield* socket.write("What time is it?\r\n")
      expect(yield* readText(socket)).toMatch(/^Saturday, .*\r\n$/)
      expect(yield* open).toBe(1)
      yield* Effect.sleep("11 seconds")
      expect(yield* socket.state).toBe("CLOSE-WAIT")
      yield* Effect.flip(Effect.forever(Effect.andThen(socket.write("Still here\r\n"), Effect.sleep(100))))
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "chargen sends the pattern of RFC 864 until the client closes",
    virtually(Effect.gen(function*() {
      const { connect, open } = yield* offering("chargen")
      const socket = yield* connect()
      const lines = yield* socket.incoming.pipe(
        Stream.decodeText,
        Stream.splitLines,
        Stream.take(200),
        Stream.runCollect
      )
      // The first two lines and the last of the example in the RFC, whose pattern starts with a blank.
      expect(lines[0]).toBe(` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefg`)
      expect(lines[1]).toBe(`!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefgh`)
      expect(lines[94]!.startsWith("~ !\"#")).toBe(true)
      expect(lines.slice(95, 190)).toEqual(lines.slice(0, 95))
      expect(lines.every((line) => line.length === 72)).toBe(true)
      yield* socket.closeWrite
      yield* Stream.runDrain(socket.incoming)
      yield* socket.closed
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "chargen waits for a client that does not read, and ends when that resets",
    virtually(Effect.gen(function*() {
      const { connect, open, right } = yield* offering("chargen")
      const socket = yield* connect({ receiveBuffer: 10_000 })
      const sent = Effect.map(right.counters, (counters) => counters["device.eth0.transmittedOctets"] ?? 0)
      yield* Effect.sleep("1 second")
      expect(yield* open).toBe(1)
      const before = yield* sent
      expect(before).toBeLessThan(20_000)
      yield* Effect.sleep("1 minute")
      // Window probes, and nothing else.
      expect((yield* sent) - before).toBeLessThan(5_000)
      yield* socket.abort
      yield* Effect.sleep("1 second")
      expect(yield* open).toBe(0)
    }))
  )

  it(
    "chargen ignores what it is sent",
    virtually(Effect.gen(function*() {
      const { connect } = yield* offering("chargen")
      const socket = yield* connect()
      yield* socket.write(new Uint8Array(1_000_000))
      const some = yield* Stream.runCollect(Stream.take(socket.incoming, 3))
      expect(some).toHaveLength(3)
    }))
  )

  it(
    "say which port they got, and refuse one that is taken",
    virtually(Effect.gen(function*() {
      const { right } = yield* offering("echo")
      const local = yield* on(right)(SimpleServices.echo({ port: 2007 }))
      expect(local.port).toBe(2007)
      const error = yield* Effect.flip(on(right)(SimpleServices.discard({ port: 7 })))
      expect(error.reason._tag).toBe("AddressInUse")
    }))
  )

  it(
    "echo over UDP sends datagrams back, but not to services that would answer",
    virtually(Effect.gen(function*() {
      const { left, right } = yield* pair()
      const here = yield* udp(left)
      const there = yield* udp(right)
      yield* Effect.provideContext(SimpleServices.echoUdp({ port: 7 }), there)
      const ask = Effect.fnUntraced(function*(port: number) {
        const socket = yield* Effect.provideContext(UdpSocket.bind({ port, remote: `${RIGHT}:7` }), here)
        yield* socket.send(`from ${port}`)
        return yield* socket.datagrams.pipe(
          Stream.map(({ payload }) => new TextDecoder().decode(payload)),
          Stream.runHead,
          Effect.timeoutOption("1 second"),
          Effect.map((answer) => answer._tag === "Some" && answer.value._tag === "Some" ? answer.value.value : "")
        )
      })
      expect(yield* ask(40_000)).toBe("from 40000")
      for (const port of [7, 13, 17, 19]) expect(yield* ask(port)).toBe("")
      expect(yield* ask(9)).toBe("from 9")
    }))
  )
})
