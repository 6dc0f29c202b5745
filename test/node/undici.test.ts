/**
 * `undici` and `fetch` by strata, and the same by the kernel. The `fetch` of Node has a copy of undici of its own.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { NetSocket } from "@strata/sockets/node"
import type * as Http from "node:http"
import * as Http2 from "node:http2"
import type { Server } from "node:net"
import { type Duplex, PassThrough, Readable } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import * as Undici from "undici"
import { makeCertificates, NAME } from "../support/certificates.ts"
import { closed, errorOf, listening, octetsOf, textOf, told } from "../support/nodePrograms.ts"
import { digest, patterned } from "../support/transfer.ts"
import { HOSTS, type World, worlds } from "../support/worlds.ts"

const certificates = makeCertificates(...HOSTS)

const hello: Http.RequestListener = async (request, response) => {
  response.setHeader("x-port", String(request.socket.remotePort))
  if (request.method === "POST") response.end(await octetsOf(request))
  else response.end(`hello ${request.url}`)
}

describe.each(worlds)("undici by %s", (_name, enter) => {
  let world: World
  let plain: Undici.Agent
  const servers: Array<Server> = []
  const sockets = new Set<Duplex>()
  const dispatchers: Array<Undici.Dispatcher> = []
  beforeAll(async () => {
    world = await enter()
    plain = agent()
  })
  afterAll(async () => {
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()))
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.map(closed))
    await world.leave()
  })

  const kept = <D extends Undici.Dispatcher>(dispatcher: D): D => {
    dispatchers.push(dispatcher)
    return dispatcher
  }
  const agent = (options: Undici.Agent.Options = {}) =>
    kept(new Undici.Agent({ connect: world.client.undici.connect, ...options }))
  const started = async (server: Server) => {
    servers.push(server)
    server.on("connection", (socket) => void sockets.add(socket))
    return listening(server, world.host)
  }
  const serve = async (answer: Http.RequestListener) => {
    const server = world.server.http.createServer(answer)
    const port = await started(server)
    return { server, port, url: `http://${world.host}:${port}` }
  }
  const free = async (): Promise<number> => {
    const server = world.server.net.createServer()
    const port = await listening(server, world.host)
    await closed(server)
    return port
  }

  describe("undici", () => {
    it("requests, on one connection after the other", async () => {
      const { url } = await serve(hello)
      const ports = new Set<unknown>()
      const dispatcher = agent({ connections: 1 })
      for (let index = 0; index < 5; index++) {
        const { body, headers, statusCode } = await Undici.request(`${url}/${index}`, { dispatcher })
        assert.deepStrictEqual([statusCode, await body.text()], [200, `hello /${index}`])
        ports.add(headers["x-port"])
      }
      assert.strictEqual(ports.size, 1)
    })

    it("streams a large body there and back", async () => {
      const { url } = await serve(hello)
      const bytes = patterned(2_000_000, 5)
      const { body } = await Undici.request(url, {
        dispatcher: plain,
        method: "POST",
        body: Readable.from([bytes.subarray(0, 700_000), bytes.subarray(700_000)])
      })
      assert.strictEqual(digest(Buffer.from(await body.arrayBuffer())), digest(bytes))
    })

    it("writes an answer into a stream", async () => {
      const { url } = await serve(hello)
      const into = new PassThrough()
      const text = textOf(into)
      await Undici.stream(`${url}/stream`, { dispatcher: plain, method: "GET" }, () => into)
      assert.strictEqual(await text, "hello /stream")
    })

    it("shares a pool of connections", async () => {
      const { url } = await serve(hello)
      const pool = kept(new Undici.Pool(url, { connections: 4, connect: world.client.undici.connect }))
      const answers = await Promise.all(Array.from({ length: 40 }, async (_, index) => {
        const { body, headers } = await pool.request({ path: `/${index}`, method: "GET" })
        return [await body.text(), headers["x-port"]] as const
      }))
      assert.deepStrictEqual(answers.map(([text]) => text), answers.map((_, index) => `hello /${index}`))
      assert.isAtMost(new Set(answers.map(([, port]) => port)).size, 4)
      await pool.close()
    })

    it("pipelines", async () => {
      const { url } = await serve(hello)
      const client = kept(new Undici.Client(url, { pipelining: 8, connect: world.client.undici.connect }))
      const texts = await Promise.all(Array.from({ length: 24 }, async (_, index) => {
        const { body } = await client.request({ path: `/${index}`, method: "GET" })
        return body.text()
      }))
      assert.deepStrictEqual(texts, Array.from({ length: 24 }, (_, index) => `hello /${index}`))
    })

    it("speaks https", async () => {
      const server = world.server.https.createServer(certificates.server, hello)
      const port = await started(server)
      const connect = world.client.undici.buildConnector({ ca: certificates.ca, servername: NAME })
      const { body } = await Undici.request(`https://${world.host}:${port}/secret`, { dispatcher: agent({ connect }) })
      assert.strictEqual(await body.text(), "hello /secret")
      const strange = world.client.undici.buildConnector({ servername: NAME })
      const failure = await errorOf(
        Undici.request(`https://${world.host}:${port}/`, { dispatcher: agent({ connect: strange }) })
      )
      assert.strictEqual(failure.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
    })

    it("speaks HTTP/2, of which a server takes connections, too", async () => {
      const speaking = Http2.createSecureServer(certificates.server, (request, response) => {
        response.end(`${request.httpVersion} ${request.url}`)
      })
      const port = await started(world.server.net.createServer((socket) => void speaking.emit("connection", socket)))
      const connect = world.client.undici.buildConnector({ ca: certificates.ca, servername: NAME })
      const dispatcher = agent({ connect, allowH2: true })
      const texts = await Promise.all([1, 2, 3].map(async (index) => {
        const { body } = await Undici.request(`https://${world.host}:${port}/${index}`, { dispatcher })
        return body.text()
      }))
      assert.deepStrictEqual(texts, ["2.0 /1", "2.0 /2", "2.0 /3"])
    })

    it("is refused", async () => {
      const port = await free()
      const error = await errorOf(Undici.request(`http://${world.host}:${port}`, { dispatcher: plain }))
      assert.deepStrictEqual(told(error), {
        name: "Error",
        message: `connect ECONNREFUSED ${world.host}:${port}`,
        code: "ECONNREFUSED",
        syscall: "connect",
        errno: -111,
        address: world.host,
        port
      })
    })

    it("does not wait for ever for a connection", async () => {
      // Who accepts and never says a word of TLS has not connected for undici.
      const port = await started(world.server.net.createServer())
      const connect = world.client.undici.buildConnector({ timeout: 80 })
      const error = await errorOf(
        Undici.request(`https://${world.host}:${port}`, { dispatcher: agent({ connect }) })
      )
      assert.instanceOf(error, Undici.errors.ConnectTimeoutError)
      assert.instanceOf(error, Undici.errors.UndiciError)
      assert.deepStrictEqual([error.name, error.code, error.message], [
        "ConnectTimeoutError",
        "UND_ERR_CONNECT_TIMEOUT",
        `Connect Timeout Error (attempted address: ${world.host}:${port}, timeout: 80ms)`
      ])
    })

    it("does not wait for ever for headers, nor for a body", async () => {
      const { url } = await serve((request, response) => {
        if (request.url === "/body") response.write("some")
      })
      const dispatcher = agent({ headersTimeout: 50, bodyTimeout: 50 })
      const headers = await errorOf(Undici.request(`${url}/headers`, { dispatcher }))
      assert.deepStrictEqual([headers.name, headers.code], ["HeadersTimeoutError", "UND_ERR_HEADERS_TIMEOUT"])
      const { body } = await Undici.request(`${url}/body`, { dispatcher })
      const rest = await errorOf(body.text())
      assert.deepStrictEqual([rest.name, rest.code], ["BodyTimeoutError", "UND_ERR_BODY_TIMEOUT"])
    })

    it("sees the other side close", async () => {
      const port = await started(world.server.net.createServer((socket: NetSocket) => {
        socket.once("data", () => socket.end())
      }))
      const error = await errorOf(Undici.request(`http://${world.host}:${port}`, { dispatcher: plain }))
      assert.deepStrictEqual([error.name, error.code, error.message], [
        "SocketError",
        "UND_ERR_SOCKET",
        "other side closed"
      ])
      const { socket } = error as unknown as Undici.errors.SocketError
      assert.deepStrictEqual(
        [socket?.localAddress, socket?.remoteAddress, socket?.remotePort, socket?.bytesRead],
        [world.from, world.host, port, 0]
      )
      assert.isAbove(socket!.bytesWritten!, 20)
    })

    it("is reset in the middle of an answer", async () => {
      const { url } = await serve((request, response) => {
        response.writeHead(200, { "content-length": 100 })
        response.write("some")
        setTimeout(() => request.socket.resetAndDestroy(), 20)
      })
      const { body } = await Undici.request(url, { dispatcher: plain })
      const error = await errorOf(body.text())
      assert.deepStrictEqual([error.code, error.message], ["ECONNRESET", "read ECONNRESET"])
    })

    it("is aborted", async () => {
      const { promise: gone, resolve: left } = Promise.withResolvers<void>()
      const controller = new AbortController()
      const { url } = await serve((_request, response) => {
        response.on("close", left)
        controller.abort(new Error("enough"))
      })
      const error = await errorOf(Undici.request(url, { dispatcher: plain, signal: controller.signal }))
      assert.strictEqual(error.message, "enough")
      await gone
    })
  })

  // That of Node expects a dispatcher of its own generation.
  const fetches = {
    "undici's fetch": (url: string, init?: Undici.RequestInit) => Undici.fetch(url, { dispatcher: plain, ...init }),
    "Node's fetch": (url: string, init?: Undici.RequestInit) => {
      const dispatcher = new Undici.Dispatcher1Wrapper(init?.dispatcher ?? plain)
      return globalThis.fetch(url, { ...init, dispatcher } as never) as unknown as Promise<Undici.Response>
    }
  }

  describe.each(Object.entries(fetches))("%s", (_title, fetch) => {
    it("gets and posts", async () => {
      const { url } = await serve(hello)
      const answer = await fetch(`${url}/a?b`)
      assert.deepStrictEqual([answer.status, answer.ok, await answer.text()], [200, true, "hello /a?b"])
      const posted = await fetch(url, { method: "POST", body: JSON.stringify({ a: 1 }) })
      assert.deepStrictEqual(await posted.json(), { a: 1 })
    })

    it("reads a stream as it comes", async () => {
      const { url } = await serve(async (_request, response) => {
        for (const part of ["one ", "two ", "three"]) {
          response.write(part)
          await sleep(5)
        }
        response.end()
      })
      const { body } = await fetch(url)
      assert.strictEqual(await textOf(Readable.fromWeb(body as never)), "one two three")
    })

    it("follows to another path", async () => {
      const { url } = await serve((request, response) => {
        if (request.url === "/old") response.writeHead(302, { location: "/new" }).end()
        else response.end(request.url)
      })
      const answer = await fetch(`${url}/old`)
      assert.deepStrictEqual([answer.redirected, await answer.text()], [true, "/new"])
    })

    it("speaks https", async () => {
      const port = await started(world.server.https.createServer(certificates.server, hello))
      const connect = world.client.undici.buildConnector({ ca: certificates.ca })
      const url = `https://${world.host}:${port}/`
      assert.strictEqual(await (await fetch(url, { dispatcher: agent({ connect }) })).text(), "hello /")
      const error = await errorOf(fetch(url))
      assert.deepStrictEqual([error.name, error.message, told(error.cause).code], [
        "TypeError",
        "fetch failed",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
      ])
    })

    it("fails where nobody listens", async () => {
      const port = await free()
      const error = await errorOf(fetch(`http://${world.host}:${port}`))
      assert.deepStrictEqual([error.name, error.message], ["TypeError", "fetch failed"])
      assert.deepStrictEqual(told(error.cause), {
        name: "Error",
        message: `connect ECONNREFUSED ${world.host}:${port}`,
        code: "ECONNREFUSED",
        syscall: "connect",
        errno: -111,
        address: world.host,
        port
      })
    })

    it("fails in the middle of an answer", async () => {
      const { url } = await serve((request, response) => {
        response.writeHead(200, { "content-length": 100 })
        response.write("some")
        setTimeout(() => request.socket.resetAndDestroy(), 20)
      })
      const answer = await fetch(url)
      const error = await errorOf(answer.text())
      assert.deepStrictEqual([error.name, error.message], ["TypeError", "terminated"])
      assert.strictEqual(told(error.cause).code, "ECONNRESET")
    })

    it("is aborted", async () => {
      const { url } = await serve(() => {})
      const error = await errorOf(fetch(url, { signal: AbortSignal.timeout(30) }))
      assert.strictEqual(error.name, "TimeoutError")
    })
  })

  it("is the way of every fetch, when it is set to be", async () => {
    const { url } = await serve(hello)
    const before = Undici.getGlobalDispatcher()
    Undici.setGlobalDispatcher(plain)
    try {
      assert.strictEqual(await (await globalThis.fetch(`${url}/global`)).text(), "hello /global")
      assert.strictEqual(await (await Undici.fetch(`${url}/other`)).text(), "hello /other")
    } finally {
      Undici.setGlobalDispatcher(before)
    }
  })
})
