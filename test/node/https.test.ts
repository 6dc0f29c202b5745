/**
 * `node:https` and `node:tls` on strata, and the same on the kernel, with certificates of this run.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { NetSocket } from "@strata/sockets/node"
import { createHash } from "node:crypto"
import { once } from "node:events"
import type * as Https from "node:https"
import type { Server } from "node:net"
import type { Duplex } from "node:stream"
import * as NodeTls from "node:tls"
import { makeCertificates, NAME, OTHER_NAME } from "../support/certificates.ts"
import { answerTo, closed, errorOf, listening, octetsOf, textOf, told } from "../support/nodePrograms.ts"
import { patterned } from "../support/transfer.ts"
import { HOSTS, type World, worlds } from "../support/worlds.ts"

const certificates = makeCertificates(...HOSTS)
const { ca } = certificates
const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const hello = (_: unknown, response: { end(text: string): void }) => response.end("hello")
const resetting = (socket: NetSocket) => void socket.once("data", () => socket.resetAndDestroy()).on("error", () => {})
const end = (socket: Duplex) => new Promise<boolean>((resolve) => void socket.on("close", resolve))

describe.each(worlds)("TLS over %s", (_name, enter) => {
  let world: World
  const servers: Array<Server> = []
  const sockets = new Set<Duplex>()
  beforeAll(async () => {
    world = await enter()
  })
  afterAll(async () => {
    world.client.https.agent.destroy()
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.map(closed))
    await world.leave()
  })

  const started = async <S extends Server>(server: S) => {
    servers.push(server)
    server.on("connection", (socket) => void sockets.add(socket))
    return { server, port: await listening(server, world.host) }
  }
  const serve = async (options: Https.ServerOptions = {}, answer?: (request: any, response: any) => void) => {
    const given = { ...certificates.server, ...options }
    const { port, server } = await started(world.server.https.createServer(given, answer ?? hello) as Https.Server)
    return { server, port, url: `https://${world.host}:${port}` }
  }
  const ask = (url: string, options: Https.RequestOptions = {}) =>
    world.client.https.request(url, { ca, agent: false, ...options })
  const get = async (url: string, options: Https.RequestOptions = {}) => {
    const answer = await answerTo(ask(url, options).end())
    return { text: await textOf(answer), answer }
  }
  const secure = (port: number, options: NodeTls.ConnectionOptions = {}): NodeTls.TLSSocket => {
    const socket = world.client.tls.connect({ host: world.host, port, servername: NAME, ca, ...options })
    return socket
  }

  /** A way to a server that a test can cut off. */
  const through = async (target: number) => {
    const clients: Array<NetSocket> = []
    const way = await started(world.server.net.createServer((client: NetSocket) => {
      clients.push(client)
      const onward: NetSocket = world.server.net.connect({ host: world.host, port: target })
      client.on("error", () => {}).on("close", () => onward.destroy())
      onward.on("error", () => {}).on("close", () => client.destroy())
      client.pipe(onward).pipe(client)
    }))
    return { port: way.port, reset: () => clients[0]!.resetAndDestroy() }
  }
  const echo = async (options: NodeTls.TlsOptions = {}, secured: (socket: NodeTls.TLSSocket) => void = () => {}) => {
    const server: NodeTls.Server = world.server.tls.createServer(
      { ...certificates.server, ...options },
      (socket: NodeTls.TLSSocket) => {
        socket.on("error", () => {})
        secured(socket)
        socket.pipe(socket)
      }
    )
    return started(server)
  }

  describe("https", () => {
    it("answers, to whom it knows by address or name", async () => {
      const { port, url } = await serve({}, (request, response) => {
        const { encrypted, localAddress, localPort, remoteAddress } = request.socket
        response.end(JSON.stringify({ encrypted, localAddress, localPort, remoteAddress }))
      })
      const expected = { encrypted: true, localAddress: world.host, localPort: port, remoteAddress: world.from }
      assert.deepStrictEqual(JSON.parse((await get(url)).text), expected)
      assert.deepStrictEqual(JSON.parse((await get(url, { servername: NAME })).text), expected)
    })

    it("keeps connections, and remembers sessions", async () => {
      const { url } = await serve({}, (request, response) => {
        response.end(JSON.stringify({ port: request.socket.remotePort, reused: request.socket.isSessionReused() }))
      })
      const agent = new world.client.https.Agent({ keepAlive: true, ca, servername: NAME })
      const first = JSON.parse((await get(url, { agent })).text)
      await new Promise(setImmediate)
      const second = JSON.parse((await get(url, { agent })).text)
      assert.deepStrictEqual([first.reused, second], [false, first])
      for (const socket of Object.values(agent.freeSockets).flat() as ReadonlyArray<Duplex>) {
        socket.destroy()
        await once(socket, "close")
      }
      const third = JSON.parse((await get(url, { agent })).text)
      assert.notStrictEqual(third.port, first.port)
      assert.isTrue(third.reused)
      agent.destroy()
    })

    it("moves large bodies both ways", async () => {
      const bytes = patterned(2_000_000, 7)
      const { url } = await serve({}, async (request, response) => {
        response.setHeader("x-received", digest(await octetsOf(request)))
        response.end(bytes)
      })
      const request = ask(url, { method: "POST" })
      request.end(bytes)
      const answer = await answerTo(request)
      assert.strictEqual(answer.headers["x-received"], digest(bytes))
      assert.strictEqual(digest(await octetsOf(answer)), digest(bytes))
    })

    it("does not trust a stranger, nor an authority it does not know", async () => {
      const known = await serve()
      const unknown = told(await errorOf(ask(known.url, { ca: certificates.stranger.cert }).end()))
      assert.deepStrictEqual(
        [unknown.code, unknown.message],
        [
          "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
          "unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca"
        ]
      )
      const { url } = await serve(certificates.stranger)
      assert.strictEqual(told(await errorOf(ask(url).end())).code, "DEPTH_ZERO_SELF_SIGNED_CERT")
      assert.strictEqual((await get(url, { rejectUnauthorized: false })).text, "hello")
    })

    it("knows whose certificate it has to be", async () => {
      const { url } = await serve(certificates.other)
      const byAddress = told(await errorOf(ask(url).end()))
      assert.deepStrictEqual([byAddress.code, byAddress.message], [
        "ERR_TLS_CERT_ALTNAME_INVALID",
        `Hostname/IP does not match certificate's altnames: IP: ${world.host} is not in the cert's list: `
      ])
      const byName = told(await errorOf(ask(url, { servername: NAME }).end()))
      assert.deepStrictEqual([byName.code, byName.message], [
        "ERR_TLS_CERT_ALTNAME_INVALID",
        `Hostname/IP does not match certificate's altnames: Host: ${NAME}. is not in the cert's altnames: DNS:${OTHER_NAME}`
      ])
    })

    it("is refused where nobody listens", async () => {
      const { port, server, url } = await serve()
      await closed(server)
      assert.deepStrictEqual(told(await errorOf(ask(url).end())), {
        name: "Error",
        message: `connect ECONNREFUSED ${world.host}:${port}`,
        code: "ECONNREFUSED",
        syscall: "connect",
        errno: -111,
        address: world.host,
        port
      })
    })

    it("is left before there is TLS", async () => {
      const { port } = await started(world.server.net.createServer((socket: NetSocket) => void socket.end()))
      const error = told(await errorOf(ask(`https://${world.host}:${port}`).end()))
      assert.deepStrictEqual([error.code, error.message], [
        "ECONNRESET",
        "Client network socket disconnected before secure TLS connection was established"
      ])
    })

    it("is reset before there is TLS", async () => {
      const { port } = await started(world.server.net.createServer(resetting))
      const error = told(await errorOf(ask(`https://${world.host}:${port}`).end()))
      assert.strictEqual(error.code, "ECONNRESET")
    })

    it("is answered by somebody who does not speak TLS", async () => {
      const { port } = await started(world.server.http.createServer())
      const error = told(await errorOf(ask(`https://${world.host}:${port}`).end()))
      assert.strictEqual(error.code, "EPROTO")
      assert.match(error.message, /^write EPROTO .*packet length too long|wrong version number/)
    })

    it("is hung up on", async () => {
      const { url } = await serve({}, (request) => void request.socket.destroy())
      const { code, message } = told(await errorOf(ask(url).end()))
      assert.deepStrictEqual([code, message], ["ECONNRESET", "socket hang up"])
    })

    it("is cut off in the middle of an answer", async () => {
      const target = await serve({}, (_request, response) => {
        response.writeHead(200, { "content-length": 100 })
        response.write("some")
      })
      const { port, reset } = await through(target.port)
      const request = ask(`https://${world.host}:${port}`).end()
      const asked = errorOf(request)
      const answer = await answerTo(request)
      reset()
      assert.strictEqual((await asked).message, "read ECONNRESET")
      assert.deepStrictEqual(told(await errorOf(octetsOf(answer))).message, "aborted")
      assert.isFalse(answer.complete)
    })
  })

  describe("tls", () => {
    it("tells what a socket knows, in order", async () => {
      const { port } = await echo()
      const socket = secure(port)
      const events: Array<string> = []
      for (const event of ["connect", "ready", "secureConnect", "end", "close"]) {
        socket.on(event, () => events.push(event))
      }
      assert.deepStrictEqual([socket.encrypted, socket.connecting, socket.authorized], [true, true, false])
      await once(socket, "secureConnect")
      assert.deepStrictEqual([socket.connecting, socket.authorized], [false, true])
      assert.deepStrictEqual(
        [socket.remoteAddress, socket.remotePort, socket.remoteFamily, socket.localAddress],
        [world.host, port, "IPv4", world.from]
      )
      assert.deepStrictEqual(socket.address(), {
        address: world.from,
        family: "IPv4",
        port: socket.localPort
      })
      assert.deepStrictEqual([socket.getProtocol(), socket.getPeerCertificate().subject.CN], ["TLSv1.3", NAME])
      assert.strictEqual(socket.setNoDelay(true).setKeepAlive(true, 1000).unref().ref(), socket)
      const gone = end(socket)
      socket.end("hello")
      assert.strictEqual(await textOf(socket), "hello")
      await gone
      assert.deepStrictEqual(events, ["connect", "ready", "secureConnect", "end", "close"])
    })

    it("takes its arguments as that of Node does", async () => {
      const { port } = await echo()
      const options = { servername: NAME, ca }
      const connected = await new Promise<NodeTls.TLSSocket>((resolve) => {
        const socket = world.client.tls.connect(port, world.host, options, () => resolve(socket))
      })
      connected.destroy()
      const second = world.client.tls.connect(port, { ...options, host: world.host })
      await once(second, "secureConnect")
      second.destroy()
    })

    it("agrees on a protocol", async () => {
      const { port } = await echo({ ALPNProtocols: ["beta", "gamma"] })
      const socket = secure(port, { ALPNProtocols: ["alpha", "gamma"] })
      await once(socket, "secureConnect")
      assert.strictEqual(socket.alpnProtocol, "gamma")
      socket.destroy()
      const { code } = told(await errorOf(secure(port, { ALPNProtocols: ["alpha"] })))
      assert.strictEqual(code, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
    })

    it("shows the certificate of the name that is asked for", async () => {
      const names: Array<string | false | null> = []
      const { port, server } = await echo({}, (socket) => names.push(socket.servername))
      server.addContext(OTHER_NAME, certificates.other)
      for (const servername of [NAME, OTHER_NAME]) {
        const socket = secure(port, { servername })
        await once(socket, "secureConnect")
        assert.strictEqual(socket.getPeerCertificate().subject.CN, servername)
        socket.end("x")
        assert.strictEqual(await textOf(socket), "x")
      }
      assert.deepStrictEqual(names, [NAME, OTHER_NAME])
    })

    it("wants to know its clients", async () => {
      const seen: Array<string | undefined> = []
      const { port } = await echo({ ca, requestCert: true }, (socket) => {
        seen.push(socket.getPeerCertificate().subject.CN as string, socket.remoteAddress)
      })
      const socket = secure(port, certificates.client)
      socket.end("known")
      assert.strictEqual(await textOf(socket), "known")
      assert.deepStrictEqual(seen, ["a client", world.from])
      // TLS 1.3 tells a client after it has come in.
      const { code } = told(await errorOf(secure(port).resume()))
      assert.strictEqual(code, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")
    })

    it("takes a session up again", async () => {
      const { port } = await echo()
      const first = secure(port)
      const session = once(first, "session")
      first.end("x")
      assert.strictEqual(await textOf(first), "x")
      const again = secure(port, { session: (await session)[0] })
      await once(again, "secureConnect")
      assert.isTrue(again.isSessionReused())
      again.destroy()
    })

    it("tells a server of clients it does not understand, and goes on", async () => {
      const { port, server } = await echo()
      const failure = once(server, "tlsClientError")
      const plain: NetSocket = world.client.net.connect({ host: world.host, port })
      plain.on("error", () => {}).end("this is no TLS\r\n\r\n")
      const [error, socket] = await failure as [NodeJS.ErrnoException, NodeTls.TLSSocket]
      assert.match(error.code!, /^ERR_SSL_/)
      socket.destroy()
      const friend = secure(port)
      friend.end("hello")
      assert.strictEqual(await textOf(friend), "hello")
    })

    it("does not wait for ever for a handshake", async () => {
      const { port, server } = await echo({ handshakeTimeout: 40 })
      const failure = once(server, "tlsClientError")
      const silent: NetSocket = world.client.net.connect({ host: world.host, port })
      const [error, socket] = await failure as [NodeJS.ErrnoException, NodeTls.TLSSocket]
      assert.strictEqual(error.code, "ERR_TLS_HANDSHAKE_TIMEOUT")
      socket.destroy()
      silent.destroy()
    })

    it("times out when nothing comes", async () => {
      const { port } = await echo()
      const socket = secure(port)
      socket.setTimeout(40)
      await once(socket, "timeout")
      socket.destroy()
    })

    it("is reset, and says so once", async () => {
      const { port, reset } = await through((await echo()).port)
      const socket = secure(port)
      await once(socket, "secureConnect")
      const errors: Array<string> = []
      socket.on("error", (error) => errors.push(error.message))
      socket.write("hello")
      await once(socket, "data")
      reset()
      assert.isTrue(await end(socket))
      assert.deepStrictEqual(errors, ["read ECONNRESET"])
    })

    it("is refused, and says so once", async () => {
      const { port, server } = await echo()
      await closed(server)
      const socket = secure(port)
      const errors: Array<string> = []
      socket.on("error", (error) => errors.push(error.message))
      assert.isTrue(await end(socket))
      assert.deepStrictEqual(errors, [`connect ECONNREFUSED ${world.host}:${port}`])
    })

    it("upgrades a connection that there is, with either Node's own connect", async () => {
      const { port } = await echo()
      for (const { connect } of [world.client.tls, NodeTls]) {
        const plain = world.client.net.connect({ host: world.host, port })
        await once(plain, "connect")
        const socket: NodeTls.TLSSocket = connect({ socket: plain, servername: NAME, ca })
        if (connect === world.client.tls.connect) {
          assert.deepStrictEqual([socket.remoteAddress, socket.remotePort], [world.host, port])
          assert.deepStrictEqual(socket.address(), plain.address())
        }
        socket.end("hello")
        assert.strictEqual(await textOf(socket), "hello")
      }
    })

    it("closes when its sockets are", async () => {
      const { port, server } = await echo()
      const socket = secure(port)
      await once(socket, "secureConnect")
      const gone = closed(server)
      assert.isFalse(server.listening)
      socket.end()
      socket.resume()
      await gone
    })
  })
})
