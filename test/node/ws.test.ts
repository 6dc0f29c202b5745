/**
 * `ws`, both sides, on strata and on the kernel.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { NetSocket } from "@strata/sockets/node"
import { once } from "node:events"
import type * as Http from "node:http"
import { WebSocket, WebSocketServer } from "ws"
import { makeCertificates, NAME } from "../support/certificates.ts"
import { closed, errorOf, listening, told } from "../support/nodePrograms.ts"
import { patterned } from "../support/transfer.ts"
import { HOSTS, type World, worlds } from "../support/worlds.ts"

const certificates = makeCertificates(...HOSTS)

const next = async (socket: WebSocket) => {
  const [data, isBinary] = await once(socket, "message") as [Buffer, boolean]
  return { data, isBinary }
}

describe.each(worlds)("ws over %s", (_name, enter) => {
  let world: World
  let server: Http.Server
  let accepting: WebSocketServer
  let port: number
  beforeAll(async () => {
    world = await enter()
    server = world.server.http.createServer((_: unknown, response: Http.ServerResponse) =>
      response.writeHead(426).end()
    )
    accepting = new WebSocketServer({ server, perMessageDeflate: { threshold: 100 } })
    port = await listening(server, world.host)
  })
  afterAll(async () => {
    for (const client of accepting.clients) client.terminate()
    server.closeAllConnections()
    await closed(server)
    await world.leave()
  })

  /** Both ends of a new connection. */
  const opened = async (options: object = {}) => {
    const accepted = once(accepting, "connection")
    const client = new WebSocket(`ws://${world.host}:${port}/path`, { agent: world.client.http.agent, ...options })
    await once(client, "open")
    const [peer, request] = await accepted as [WebSocket, Http.IncomingMessage]
    return { client, peer, request }
  }
  it("opens, and says who comes", async () => {
    const { client, request } = await opened({ protocol: undefined, headers: { "x-name": "ann" } })
    assert.deepStrictEqual(
      [request.url, request.headers["x-name"], request.socket.remoteAddress],
      ["/path", "ann", world.from]
    )
    client.terminate()
  })

  it("passes text and octets, both ways", async () => {
    const { client, peer } = await opened()
    for (const [from, to] of [[client, peer], [peer, client]] as const) {
      const text = next(to)
      from.send("grüß dich")
      assert.deepStrictEqual(await text, { data: Buffer.from("grüß dich"), isBinary: false })
      const octets = next(to)
      from.send(Uint8Array.of(0, 1, 255))
      assert.deepStrictEqual(await octets, { data: Buffer.of(0, 1, 255), isBinary: true })
    }
    client.terminate()
  })

  it("passes large messages and many, in order", async () => {
    const { client, peer } = await opened({ perMessageDeflate: false })
    const bytes = Buffer.from(patterned(1_500_000, 6))
    const large = next(peer)
    client.send(bytes)
    assert.isTrue((await large).data.equals(bytes))
    const seen: Array<string> = []
    const all = new Promise<void>((resolve) => {
      peer.on("message", (data) => {
        if (seen.push(String(data)) === 500) resolve()
      })
    })
    for (let index = 0; index < 500; index++) client.send(String(index))
    await all
    assert.deepStrictEqual(seen, Array.from({ length: 500 }, (_, index) => String(index)))
    client.terminate()
  })

  it("compresses", async () => {
    const { client, peer, request } = await opened({ perMessageDeflate: { threshold: 100 } })
    assert.match(client.extensions, /permessage-deflate/)
    const before = request.socket.bytesRead
    const message = next(peer)
    client.send("again and ".repeat(10_000))
    assert.strictEqual((await message).data.length, 100_000)
    assert.isBelow(request.socket.bytesRead - before, 5_000)
    client.terminate()
  })

  it("asks whether the other side is there", async () => {
    const { client, peer } = await opened()
    const asked = once(peer, "ping")
    const answered = once(client, "pong")
    client.ping("there?")
    assert.deepStrictEqual([String((await asked)[0]), String((await answered)[0])], ["there?", "there?"])
    client.terminate()
  })

  it("closes with a code and a reason, from either side", async () => {
    for (const side of ["client", "peer"] as const) {
      const ends = await opened()
      const other = side === "client" ? ends.peer : ends.client
      const [heard, own] = [once(other, "close"), once(ends[side], "close")]
      ends[side].close(4001, "enough")
      for (const [code, reason] of [await heard, await own]) {
        assert.deepStrictEqual([code, String(reason)], [4001, "enough"])
      }
    }
  })

  it("is told of a connection that is cut off", async () => {
    const { client, request } = await opened()
    const { _socket: socket } = client as unknown as { readonly _socket: NetSocket }
    const [failure, close] = [errorOf(socket), once(client, "close")]
    request.socket.resetAndDestroy()
    assert.strictEqual(told(await failure).code, "ECONNRESET")
    // `ws` keeps that to itself.
    assert.strictEqual((await close)[0], 1006)
  })

  it("is told of one that just ends", async () => {
    const { client, peer } = await opened()
    const close = once(client, "close")
    peer.terminate()
    assert.strictEqual((await close)[0], 1006)
  })

  it("is refused", async () => {
    const other = world.server.net.createServer()
    const empty = await listening(other, world.host)
    await closed(other)
    const error = await errorOf(new WebSocket(`ws://${world.host}:${empty}`, { agent: world.client.http.agent }))
    assert.deepStrictEqual([error.code, error.message], [
      "ECONNREFUSED",
      `connect ECONNREFUSED ${world.host}:${empty}`
    ])
  })

  it("meets a server that does not speak it", async () => {
    const plain = world.server.http.createServer((_: unknown, response: Http.ServerResponse) => response.end("hello"))
    const other = await listening(plain, world.host)
    const error = await errorOf(new WebSocket(`ws://${world.host}:${other}`, { agent: world.client.http.agent }))
    assert.strictEqual(error.message, "Unexpected server response: 200")
    plain.closeAllConnections()
    await closed(plain)
  })

  it("does not wait for ever for a handshake", async () => {
    const silent = world.server.net.createServer((socket: NetSocket) => void socket.on("error", () => {}).resume())
    const other = await listening(silent, world.host)
    const error = await errorOf(
      new WebSocket(`ws://${world.host}:${other}`, { agent: world.client.http.agent, handshakeTimeout: 50 })
    )
    assert.strictEqual(error.message, "Opening handshake has timed out")
    await closed(silent)
  })

  it("connects without an agent", async () => {
    const { client, peer } = await opened({ agent: undefined, createConnection: world.client.net.connect })
    const message = next(peer)
    client.send("hello")
    assert.strictEqual(String((await message).data), "hello")
    client.terminate()
  })

  it("goes over TLS", async () => {
    const secure: Http.Server = world.server.https.createServer(certificates.server)
    const sockets = new WebSocketServer({ server: secure })
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data).toUpperCase())))
    const other = await listening(secure, world.host)
    const agent = new world.client.https.Agent({ ca: certificates.ca, servername: NAME })
    const client = new WebSocket(`wss://${world.host}:${other}`, { agent })
    await once(client, "open")
    const answer = next(client)
    client.send("hello")
    assert.strictEqual(String((await answer).data), "HELLO")
    client.terminate()
    secure.closeAllConnections()
    await closed(secure)
  })
})
