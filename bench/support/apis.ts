/**
 * The servers that are measured, once for each public API: echo 7 (TCP and UDP), sink 9, source 19, as `load serve` has
 * them on Linux.
 *
 * An echo closes when its peer has; the sink answers the end of what it gets with `<octets> ok` or `<octets> wrong`; the
 * source sends until its peer has closed. A new API joins by a line in `apis`.
 */
import { Tcp, type TcpError, Udp, type UdpError, type UdpPort } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { StrataDatagramSocket, StrataSocketServer, TcpServer, type TcpSocket, UdpSocket } from "@strata/sockets"
import { makeNet, type NetSocket } from "@strata/sockets/node"
import { makeDgram } from "@strata/sockets/node/Dgram"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { chunk, Verifier } from "./pattern.ts"

export interface Api {
  readonly name: string
  /** What it is called in tables, and what its datagrams are. */
  readonly title: string
  readonly titleOfUdp: string
  /** Serves in the background until the scope closes. */
  readonly serve: Effect.Effect<void, TcpError | UdpError, Tcp | Udp | Scope.Scope>
}

const ECHO = 7
const SINK = 9
const SOURCE = 19
/** As many as may be opened at a time: of all connections, none is to wait for another try. */
const BACKLOG = 4096

const verdict = (verifier: Verifier): string => `${verifier.octets} ${verifier.equal ? "ok" : "wrong"}\n`

/** Of `@strata/sockets`: Streams and Sinks. */
const Streams = {
  serve: Effect.fnUntraced(
    function*(port: number, handler: (peer: TcpSocket.TcpSocket) => Effect.Effect<void, unknown>) {
      const server = yield* TcpServer.listen({ port, backlog: BACKLOG })
      yield* Effect.forkScoped(TcpServer.serve(server, handler))
    }
  ),
  echo: (peer: TcpSocket.TcpSocket) => Stream.run(peer.incoming, peer.outgoing),
  sink: Effect.fnUntraced(function*(peer: TcpSocket.TcpSocket) {
    const verifier = new Verifier()
    yield* Stream.runForEach(peer.incoming, (received) => Effect.sync(() => verifier.accept(received)))
    yield* peer.write(verdict(verifier))
  }),
  source: (peer: TcpSocket.TcpSocket) =>
    Effect.raceFirst(
      Stream.run(Stream.forever(Stream.succeed(chunk)), peer.outgoing),
      Stream.runDrain(peer.incoming)
    ),
  echoUdp: Effect.gen(function*() {
    const socket = yield* UdpSocket.bind({ port: ECHO })
    const answers = Stream.map(socket.datagrams, (datagram) => UdpSocket.answer(datagram, datagram.payload))
    yield* Effect.forkScoped(Stream.run(answers, socket.outgoing))
  })
}

const untilDone = <A, R>(
  effect: Effect.Effect<A, TcpError | Cause.Done, R>
): Effect.Effect<void, TcpError, R> =>
  Effect.forever(effect, { disableYield: true }).pipe(Effect.catchTag("Done", () => Effect.void))

/** Of `@strata/core`: what Streams and Sinks are made of. */
const Plain = {
  serve: Effect.fnUntraced(function*(port: number, handler: (connection: Connection) => Effect.Effect<void, unknown>) {
    const tcp = yield* Tcp
    const listener = yield* tcp.listen({ port, backlog: BACKLOG })
    const acceptOne = Effect.gen(function*() {
      const own = yield* Scope.make()
      const connection = yield* Scope.provide(listener.accept, own)
      const handled = Effect.ensuring(Effect.ignore(handler(connection)), Scope.close(own, Exit.void))
      yield* Effect.forkChild(handled, { startImmediately: true })
    })
    yield* Effect.forkScoped(Effect.forever(acceptOne, { disableYield: true }))
  }),
  echo: (connection: Connection) =>
    untilDone(Effect.flatMap(connection.read, (chunks) =>
      chunks.length === 1
        ? connection.write(chunks[0])
        : Effect.forEach(chunks, connection.write, { discard: true }))),
  sink: Effect.fnUntraced(function*(connection: Connection) {
    const verifier = new Verifier()
    yield* untilDone(Effect.map(connection.read, (chunks) => {
      for (const received of chunks) verifier.accept(received)
    }))
    yield* connection.write(new TextEncoder().encode(verdict(verifier)))
  }),
  source: (connection: Connection) =>
    Effect.raceFirst(Effect.forever(connection.write(chunk)), untilDone(connection.read)),
  echoUdp: Effect.gen(function*() {
    const udp = yield* Udp
    const reply = { send: (() => undefined) as UdpPort["sendUnsafe"] }
    const port = yield* udp.bindWith({ port: ECHO }, (packet, address, sourcePort) => {
      reply.send(packet.bytes.subarray(packet.start, packet.end), address, sourcePort)
      return true
    })
    reply.send = port.sendUnsafe
  })
}

const untilClosed = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
  Effect.ignore(Effect.forever(effect, { disableYield: true }))

/** Of Effect: what runs on Node's sockets runs on strata's. */
const Sockets = {
  serve: Effect.fnUntraced(function*(port: number, handler: (peer: Socket.Socket) => Effect.Effect<void, unknown>) {
    const server = yield* StrataSocketServer.make({ port, backlog: BACKLOG, allowHalfOpen: true, copyWrites: false })
    yield* Effect.forkScoped(server.run(handler))
  }, Effect.orDie),
  echo: Effect.fnUntraced(function*(peer: Socket.Socket) {
    const [reader, writer] = yield* Effect.all([peer.reader, peer.writer])
    yield* untilClosed(Effect.flatMap(reader.pull, writer.writeAll))
  }, Effect.scoped),
  sink: Effect.fnUntraced(function*(peer: Socket.Socket) {
    const [reader, writer] = yield* Effect.all([peer.reader, peer.writer])
    const verifier = new Verifier()
    yield* untilClosed(Effect.map(reader.pull, (chunks) => {
      for (const received of chunks) verifier.accept(received as Uint8Array)
    }))
    yield* writer.write(verdict(verifier))
  }, Effect.scoped),
  source: Effect.fnUntraced(function*(peer: Socket.Socket) {
    const [reader, writer] = yield* Effect.all([peer.reader, peer.writer])
    yield* Effect.raceFirst(untilClosed(writer.write(chunk)), untilClosed(reader.pull))
  }, Effect.scoped),
  echoUdp: Effect.gen(function*() {
    const socket = yield* StrataDatagramSocket.make({ bind: { port: ECHO } })
    const [reader, writer] = yield* Effect.all([socket.reader, socket.writer])
    yield* Effect.forkScoped(untilClosed(Effect.flatMap(reader.pull, writer.writeAll)))
  }).pipe(Effect.orDie)
}

/** Of Node: what its libraries run on. */
const Net: Api["serve"] = Effect.gen(function*() {
  const net = yield* makeNet
  const dgram = yield* makeDgram
  const serve = (port: number, handler: (peer: NetSocket) => void) =>
    net.createServer({ allowHalfOpen: true, copyWrites: false }, (peer) => {
      peer.on("error", () => peer.destroy())
      handler(peer)
    }).listen({ port, backlog: BACKLOG })
  serve(ECHO, (peer) => peer.pipe(peer))
  serve(SINK, (peer) => {
    const verifier = new Verifier()
    peer.on("data", (received: Uint8Array) => verifier.accept(received))
    peer.on("end", () => peer.end(verdict(verifier)))
  })
  serve(SOURCE, (peer) => {
    const send = () => {
      while (peer.writable && peer.write(chunk));
    }
    peer.on("drain", send)
    peer.on("end", () => peer.destroy())
    peer.resume()
    send()
  })
  const datagrams = dgram.createSocket("udp4", (text, from) => datagrams.send(text, from.port, from.address)).bind(ECHO)
})

/** Serves with all of them. */
const serveAll = <Peer>(one: {
  readonly serve: (
    port: number,
    handler: (peer: Peer) => Effect.Effect<void, unknown>
  ) => Effect.Effect<void, TcpError, Tcp | Scope.Scope>
  readonly echo: (peer: Peer) => Effect.Effect<void, unknown>
  readonly sink: (peer: Peer) => Effect.Effect<void, unknown>
  readonly source: (peer: Peer) => Effect.Effect<void, unknown>
  readonly echoUdp: Effect.Effect<void, UdpError, Udp | Scope.Scope>
}): Api["serve"] =>
  Effect.gen(function*() {
    yield* one.serve(ECHO, one.echo)
    yield* one.serve(SINK, one.sink)
    yield* one.serve(SOURCE, one.source)
    yield* one.echoUdp
  })

export const apis: ReadonlyArray<Api> = [
  { name: "stream", title: "strata, Streams", titleOfUdp: "strata, Streams", serve: serveAll(Streams) },
  { name: "plain", title: "strata, `Tcp`", titleOfUdp: "strata, `Udp`", serve: serveAll(Plain) },
  {
    name: "effect",
    title: "strata, `effect/socket`",
    titleOfUdp: "strata, `effect/socket`",
    serve: serveAll(Sockets)
  },
  { name: "net", title: "strata, `node:net`", titleOfUdp: "strata, `node:dgram`", serve: Net }
]
