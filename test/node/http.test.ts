/**
 * `node:http` on strata, and the same on the kernel.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { NetSocket } from "@strata/sockets/node"
import { createHash } from "node:crypto"
import { once } from "node:events"
import type * as Http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { answerTo, closed, errorOf, listening, octetsOf, textOf, told } from "../support/nodePrograms.ts"
import { patterned } from "../support/transfer.ts"
import { type World, worlds } from "../support/worlds.ts"

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

describe.each(worlds)("http over %s", (_name, enter) => {
  let world: World
  const servers: Array<Http.Server> = []
  beforeAll(async () => {
    world = await enter()
  })
  afterAll(async () => {
    for (const server of servers) server.closeAllConnections()
    await Promise.all(servers.map(closed))
    world.client.http.agent.destroy()
    await world.leave()
  })

  const serve = async (options: Http.ServerOptions, answer: Http.RequestListener) => {
    const server = world.server.http.createServer(options, answer)
    servers.push(server)
    const port = await listening(server, world.host)
    return { server, port, url: `http://${world.host}:${port}` }
  }
  const ask = (url: string, options: Http.RequestOptions = {}) => world.client.http.request(url, options)
  const get = async (url: string, options: Http.RequestOptions = {}) => {
    const answer = await answerTo(ask(url, options).end())
    return { status: answer.statusCode, text: await textOf(answer), headers: answer.headers }
  }
  /** A connection on which a test writes what it likes. */
  const dial = async (port: number): Promise<NetSocket> => {
    const socket = world.client.net.connect({ host: world.host, port })
    await once(socket, "connect")
    return socket
  }

  it("answers on one connection after the other", async () => {
    const { port, url } = await serve({}, (request, response) => {
      const { localAddress, localPort, remoteAddress, remoteFamily } = request.socket
      response.end(JSON.stringify({ url: request.url, localAddress, localPort, remoteAddress, remoteFamily }))
    })
    for (const agent of [undefined, false] as const) {
      const { status, text } = await get(`${url}/a?b=c`, agent === undefined ? {} : { agent })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(JSON.parse(text), {
        url: "/a?b=c",
        localAddress: world.host,
        localPort: port,
        remoteAddress: world.from,
        remoteFamily: "IPv4"
      })
    }
  })

  it("keeps a connection for the next request", async () => {
    const ports = new Set<number | undefined>()
    const { url } = await serve({}, (request, response) => {
      ports.add(request.socket.remotePort)
      response.end("ok")
    })
    const reused: Array<boolean> = []
    for (let index = 0; index < 3; index++) {
      const request = ask(url).end()
      await textOf(await answerTo(request))
      reused.push(request.reusedSocket)
      await sleep(1)
    }
    assert.deepStrictEqual([ports.size, reused], [1, [false, true, true]])
  })

  it("has no more connections than an agent may have", async () => {
    const agent = new world.client.http.Agent({ keepAlive: true, maxSockets: 2 })
    const ports = new Set<number | undefined>()
    const { url } = await serve({}, (request, response) => {
      ports.add(request.socket.remotePort)
      setImmediate(() => response.end("ok"))
    })
    const all = await Promise.all(Array.from({ length: 8 }, () => get(url, { agent })))
    assert.deepStrictEqual(all.map(({ text }) => text), Array.from({ length: 8 }, () => "ok"))
    assert.strictEqual(ports.size, 2)
    agent.destroy()
  })

  it("moves large bodies both ways, at the pace of the reader", async () => {
    const bytes = patterned(3_000_000, 3)
    const { url } = await serve({}, async (request, response) => {
      const received = digest(await octetsOf(request))
      response.setHeader("x-received", received)
      response.end(bytes)
    })
    const request = ask(url, { method: "POST", headers: { "content-length": bytes.length } })
    request.end(bytes)
    const answer = await answerTo(request)
    assert.strictEqual(answer.headers["x-received"], digest(bytes))
    answer.pause()
    await sleep(50)
    assert.strictEqual(digest(await octetsOf(answer)), digest(bytes))
  })

  it("streams in chunks, with trailers", async () => {
    const { url } = await serve({}, async (_request, response) => {
      response.writeHead(201, { trailer: "x-sum" })
      for (const part of ["one ", "two ", "three"]) {
        response.write(part)
        await sleep(2)
      }
      response.addTrailers({ "x-sum": "3" })
      response.end()
    })
    const answer = await answerTo(ask(url).end())
    assert.strictEqual(await textOf(answer), "one two three")
    assert.deepStrictEqual([answer.statusCode, answer.trailers["x-sum"]], [201, "3"])
  })

  it("tells a client to go on", async () => {
    const { url } = await serve({}, async (request, response) => response.end(await textOf(request)))
    const request = ask(url, { method: "PUT", headers: { expect: "100-continue", "transfer-encoding": "chunked" } })
    request.flushHeaders()
    await once(request, "continue")
    request.end("body")
    assert.strictEqual(await textOf(await answerTo(request)), "body")
  })

  it("gives a connection away that is upgraded", async () => {
    const { server, url } = await serve({}, () => {})
    server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
      socket.pipe(socket)
    })
    const request = ask(url, { headers: { connection: "upgrade", upgrade: "echo" } }).end()
    const [, socket] = await once(request, "upgrade") as [unknown, NetSocket]
    socket.end("hello")
    assert.strictEqual(await textOf(socket), "hello")
  })

  it("answers what was asked in one go, in order", async () => {
    const { port } = await serve({}, (request, response) => {
      const late = request.url === "/1" ? 20 : 0
      setTimeout(() => response.end(request.url), late)
    })
    const socket = await dial(port)
    socket.write("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert.match(await textOf(socket), /\/1[^]*\/2$/)
  })

  it("says what is no request", async () => {
    const { port, server } = await serve({}, () => {})
    const socket = await dial(port)
    socket.write("this is not http\r\n\r\n")
    assert.match(await textOf(socket), /^HTTP\/1\.1 400 Bad Request\r\n/)
    server.on("clientError", (error: NodeJS.ErrnoException, peer) => peer.end(`HTTP/1.1 418 ${error.code}\r\n\r\n`))
    const second = await dial(port)
    second.write("nor is this\r\n\r\n")
    assert.match(await textOf(second), /^HTTP\/1\.1 418 HPE_/)
  })

  it("is refused where nobody listens", async () => {
    const { port, server } = await serve({}, () => {})
    await closed(server)
    const error = told(await errorOf(ask(`http://${world.host}:${port}`).end()))
    assert.deepStrictEqual(error, {
      name: "Error",
      message: `connect ECONNREFUSED ${world.host}:${port}`,
      code: "ECONNREFUSED",
      syscall: "connect",
      errno: -111,
      address: world.host,
      port
    })
  })

  it("is hung up on by a server that leaves without an answer", async () => {
    const { url } = await serve({}, (request) => void request.socket.destroy())
    const { code, message } = told(await errorOf(ask(url).end()))
    assert.deepStrictEqual([code, message], ["ECONNRESET", "socket hang up"])
  })

  it("is reset before an answer", async () => {
    const { url } = await serve({}, (request) => void request.socket.resetAndDestroy())
    const { code, message, syscall } = told(await errorOf(ask(url).end()))
    assert.deepStrictEqual([code, message, syscall], ["ECONNRESET", "read ECONNRESET", "read"])
  })

  it("is reset in the middle of an answer", async () => {
    const { url } = await serve({}, (request, response) => {
      response.writeHead(200, { "content-length": 100 })
      response.write("some")
      setTimeout(() => request.socket.resetAndDestroy(), 20)
    })
    const request = ask(url).end()
    const asked = errorOf(request)
    const answer = await answerTo(request)
    const error = told(await errorOf(octetsOf(answer)))
    assert.deepStrictEqual([error.code, error.message, answer.complete], ["ECONNRESET", "aborted", false])
    assert.strictEqual((await asked).message, "read ECONNRESET")
  })

  it("gives up when it takes too long, if told to", async () => {
    const { url } = await serve({}, () => {})
    const request = ask(url, { timeout: 30 }).end()
    await once(request, "timeout")
    request.destroy(new Error("too long"))
    assert.strictEqual((await errorOf(request)).message, "too long")
  })

  it("is aborted by a signal, of which the server hears", async () => {
    const gone: Array<string> = []
    const { server, url } = await serve({}, (request, response) => {
      request.on("error", (error: NodeJS.ErrnoException) => gone.push(`${error.code}: ${error.message}`))
      response.on("close", () => server.emit("gone"))
    })
    const controller = new AbortController()
    const request = ask(url, { method: "POST", signal: controller.signal })
    request.write("part")
    const heard = once(server, "gone")
    await once(server, "request")
    controller.abort()
    assert.strictEqual((await errorOf(request)).name, "AbortError")
    await heard
    assert.deepStrictEqual(gone, ["ECONNRESET: aborted"])
  })

  it("does not wait for ever for headers, nor for a body", async () => {
    const { port } = await serve(
      { headersTimeout: 60, requestTimeout: 120, connectionsCheckingInterval: 20 },
      (request) => void request.resume()
    )
    for (const start of ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfour"]) {
      const socket = await dial(port)
      socket.write(start)
      assert.match(await textOf(socket), /^HTTP\/1\.1 408 Request Timeout\r\n/)
    }
  })

  it("lets idle connections go after a while", async () => {
    const { port } = await serve({ keepAliveTimeout: 20, keepAliveTimeoutBuffer: 10 }, (_, response) => response.end())
    const socket = await dial(port)
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert.match(await textOf(socket), /^HTTP\/1\.1 200 OK\r\n/)
  })

  it("times connections out on which nothing happens", async () => {
    const { server, url } = await serve({}, () => {})
    server.setTimeout(30)
    const { code, message } = told(await errorOf(ask(url).end()))
    assert.deepStrictEqual([code, message], ["ECONNRESET", "socket hang up"])
  })

  it("tells where it listens, and that it does", async () => {
    const server: Http.Server = world.server.http.createServer()
    assert.deepStrictEqual([server.listening, server.address()], [false, null])
    const events: Array<string> = []
    for (const event of ["listening", "close"]) server.on(event, () => events.push(event))
    const port = await new Promise<number>((resolve) => {
      server.listen(0, world.host, () => {
        events.push("callback")
        resolve((server.address() as { readonly port: number }).port)
      })
    })
    assert.deepStrictEqual(server.address(), { address: world.host, family: "IPv4", port })
    assert.isTrue(server.listening)
    assert.throws(() => server.listen(0), /more than once/)
    assert.isUndefined(await closed(server))
    assert.deepStrictEqual(events, ["listening", "callback", "close"])
    assert.deepStrictEqual([server.listening, server.address()], [false, null])
    assert.strictEqual(told(await closed(server)).code, "ERR_SERVER_NOT_RUNNING")
  })

  it("does not listen where another one does", async () => {
    const { port } = await serve({}, () => {})
    const server: Http.Server = world.server.http.createServer()
    server.listen(port, world.host)
    assert.deepStrictEqual(told(await errorOf(server)), {
      name: "Error",
      message: `listen EADDRINUSE: address already in use ${world.host}:${port}`,
      code: "EADDRINUSE",
      syscall: "listen",
      errno: -98,
      address: world.host,
      port
    })
    assert.isFalse(server.listening)
  })

  it("closes when its connections are, and idle ones at once", async () => {
    const { server, url } = await serve({}, (request, response) => {
      if (request.url === "/slow") setTimeout(() => response.end("slow"), 60)
      else response.end("fast")
    })
    const agent = new world.client.http.Agent({ keepAlive: true })
    await get(`${url}/fast`, { agent })
    const slow = get(`${url}/slow`, { agent: false })
    await once(server, "request")
    const counted = await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))
    assert.strictEqual(counted, 2)
    let done = false
    const end = closed(server).then(() => (done = true))
    await sleep(10)
    assert.isFalse(done)
    assert.strictEqual((await slow).text, "slow")
    await end
    agent.destroy()
  })

  it("closes all connections when it is told to", async () => {
    const { server, url } = await serve({}, () => {})
    const request = ask(url).end()
    await once(server, "request")
    const end = closed(server)
    server.closeAllConnections()
    assert.strictEqual(told(await errorOf(request)).code, "ECONNRESET")
    await end
  })

  it("takes no more connections than it may", async () => {
    const { port, server } = await serve({}, () => {})
    server.maxConnections = 1
    const dropped = once(server, "drop")
    const [first, second] = [await dial(port), await dial(port)]
    second.on("error", () => {})
    assert.strictEqual((await dropped)[0].remotePort, second.localPort)
    assert.strictEqual(server.maxConnections, 1)
    await once(second.resume(), "close")
    first.destroy()
  })

  it("is disposed of", async () => {
    const { server } = await serve({}, () => {})
    await server[Symbol.asyncDispose]()
    assert.isFalse(server.listening)
  })
})
