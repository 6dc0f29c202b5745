/**
 * Node's web libraries on strata, with the kernel's sockets at the other end of a TAP: `curl` and `ws` come to strata, and
 * `fetch`, `undici`, `https` and `ws` go from there.
 */
import { assert, layer } from "@effect/vitest"
import { StrataNode } from "@strata/sockets/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import express from "express"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import type { AddressInfo, Server } from "node:net"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { fileURLToPath } from "node:url"
import * as Undici from "undici"
import { WebSocket, WebSocketServer } from "ws"
import { makeCertificates, NAME } from "../support/certificates.ts"
import { describeOffloads, hostWith, KERNEL, Kernel, type Offload, ON_AND_OFF, STACK } from "../support/linux.ts"
import { answerTo, errorOf, octetsOf, textOf, told } from "../support/nodePrograms.ts"
import type { Plan, Visit } from "../support/peers/web.ts"
import { withFolder } from "../support/tools.ts"
import { digest, patterned } from "../support/transfer.ts"

const MEBIBYTE = 1024 * 1024
const SIZE = 64 * MEBIBYTE
const piece = Buffer.from(patterned(MEBIBYTE, 8))
const pieces = function*() {
  for (let index = 0; index < SIZE / MEBIBYTE; index++) yield piece
}
const HASH = (() => {
  const hash = createHash("sha256")
  for (const one of pieces()) hash.update(one)
  return hash.digest("hex")
})()

const program = fileURLToPath(new URL("../support/peers/web.ts", import.meta.url))
/** Nobody has it. */
const EMPTY = "192.0.2.77"

const both = (offload: Offload) => StrataNode.layer.pipe(Layer.provideMerge(hostWith(offload)))

/** Listens on a port that is free, and gives it. */
const listen = Effect.fnUntraced(function*(server: Server) {
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      server.listen(0)
      await once(server, "listening")
    }),
    () =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          if ("closeAllConnections" in server) (server.closeAllConnections as () => void)()
        })
      )
  )
  return (server.address() as AddressInfo).port
})

describeOffloads("Linux, the web on strata", ["curl", "openssl"], (offload) => {
  const certificates = makeCertificates(KERNEL, STACK)

  layer(both(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("curl downloads and uploads", () =>
      Effect.gen(function*() {
        const [kernel, { http }] = [yield* Kernel, yield* StrataNode.StrataNode]
        const app = express()
        app.get("/large", (_, response) => void pipeline(Readable.from(pieces()), response))
        app.put("/large", (request, response) => {
          const hash = createHash("sha256")
          request.on("data", (chunk: Buffer) => hash.update(chunk)).on("end", () => response.send(hash.digest("hex")))
        })
        const url = `http://${STACK}:${yield* listen(http.createServer(app))}/large`
        yield* withFolder((folder) =>
          Effect.gen(function*() {
            const file = join(folder, "large")
            yield* kernel.succeed("curl", "-sS", "-o", file, url)
            const { stdout } = yield* kernel.succeed("sha256sum", file)
            assert.strictEqual(stdout.split(" ")[0], HASH)
            const uploaded = yield* kernel.succeed("curl", "-sS", "-T", file, url)
            assert.strictEqual(uploaded.stdout, HASH)
          })
        )
      }))

    it.effect("curl asks express, over and over, and is told of errors", () =>
      Effect.gen(function*() {
        const [kernel, { http }] = [yield* Kernel, yield* StrataNode.StrataNode]
        const app = express()
        app.get("/", (request, response) => void response.send(`hello ${request.ip}`))
        app.post("/json", express.json(), (request, response) => void response.json(request.body))
        app.get("/reset", (request, response) => {
          response.write("some")
          setTimeout(() => request.socket.resetAndDestroy(), 20)
        })
        const url = `http://${STACK}:${yield* listen(http.createServer(app))}`
        const twice = yield* kernel.succeed("curl", "-sS", "-w", " %{num_connects};", `${url}/`, `${url}/`)
        assert.strictEqual(twice.stdout, `hello ${KERNEL} 1;hello ${KERNEL} 0;`)
        const json = yield* kernel.succeed("curl", "-sS", "--json", "{\"a\":1}", `${url}/json`)
        assert.strictEqual(json.stdout, "{\"a\":1}")
        const missing = yield* kernel.exec("curl", "-sSf", `${url}/nowhere`)
        assert.deepStrictEqual([missing.exitCode, /404/.test(missing.stderr)], [22, true])
        const reset = yield* kernel.exec("curl", "-sS", `${url}/reset`)
        assert.deepStrictEqual([reset.exitCode, /reset by peer/.test(reset.stderr)], [56, true])
      }))

    it.effect("curl speaks https, to whom it trusts", () =>
      Effect.gen(function*() {
        const [kernel, { https }] = [yield* Kernel, yield* StrataNode.StrataNode]
        const server = https.createServer(certificates.server, (request, response) => {
          response.end(`secret ${request.socket.remoteAddress}`)
        })
        const port = yield* listen(server)
        const named = ["--resolve", `${NAME}:${port}:${STACK}`]
        yield* withFolder((folder) =>
          Effect.gen(function*() {
            const ca = join(folder, "ca.crt")
            writeFileSync(ca, certificates.ca)
            const trusted = yield* kernel.succeed("curl", "-sS", "--cacert", ca, ...named, `https://${NAME}:${port}/`)
            assert.strictEqual(trusted.stdout, `secret ${KERNEL}`)
            const strange = yield* kernel.exec("curl", "-sS", ...named, `https://${NAME}:${port}/`)
            assert.strictEqual(strange.exitCode, 60)
          })
        )
      }))

    it.effect("ws comes in", () =>
      Effect.gen(function*() {
        const [kernel, { http }] = [yield* Kernel, yield* StrataNode.StrataNode]
        const server = http.createServer()
        new WebSocketServer({ server, perMessageDeflate: true }).on("connection", (socket) => {
          socket.on("message", (data, binary) => {
            if (String(data) === "close") socket.close(4002, "as you like")
            else socket.send(data, { binary })
          })
        })
        const url = `ws://${STACK}:${yield* listen(server)}`
        const { stdout } = yield* kernel.succeed(process.execPath, program, "visit", url)
        const visit: Visit = JSON.parse(stdout)
        const messages = ["hello", "again and ".repeat(20_000)]
        assert.deepStrictEqual(visit, {
          echoed: messages.map((text) => digest(Buffer.from(text))),
          ponged: true,
          code: 4002,
          reason: "as you like"
        })
      }))

    it.effect("fetch, undici, https and ws go out", () =>
      Effect.gen(function*() {
        const [kernel, { http, https, undici }] = [yield* Kernel, yield* StrataNode.StrataNode]
        const plan: Plan = { http: 8080, https: 8443, ...certificates.server }
        const server = yield* kernel.spawn(process.execPath, program, "serve", JSON.stringify(plan))
        yield* server.prints(/ready/)
        const url = `http://${KERNEL}:8080`
        const secure = `https://${KERNEL}:8443`
        const { ca } = certificates

        yield* Effect.promise(async () => {
          const dispatcher = new Undici.Agent({ connect: undici.connect })
          const fetched = await Undici.fetch(`${url}/fetched`, { dispatcher })
          assert.strictEqual((await fetched.json() as { from: string }).from, STACK)
          const nodes = await globalThis.fetch(`${url}/nodes`, {
            dispatcher: new Undici.Dispatcher1Wrapper(dispatcher)
          } as object)
          assert.strictEqual((await nodes.json() as { url: string }).url, "/nodes")

          const sent = await Undici.request(url, { dispatcher, method: "PUT", body: Readable.from(pieces()) })
          assert.strictEqual((await sent.body.json() as { hash: string }).hash, HASH)

          const refused = await errorOf(Undici.fetch(`http://${KERNEL}:81/`, { dispatcher }))
          assert.strictEqual(refused.message, "fetch failed")
          assert.deepStrictEqual(told(refused.cause), {
            name: "Error",
            message: `connect ECONNREFUSED ${KERNEL}:81`,
            code: "ECONNREFUSED",
            syscall: "connect",
            errno: -111,
            address: KERNEL,
            port: 81
          })
          const reset = await Undici.request(`${url}/reset`, { dispatcher })
          assert.strictEqual((await errorOf(reset.body.text())).message, "read ECONNRESET")
          const left = await errorOf(Undici.request(`${url}/hang-up`, { dispatcher }))
          assert.deepStrictEqual([left.code, left.message], ["UND_ERR_SOCKET", "other side closed"])
          const silent = await errorOf(Undici.request(`${url}/silence`, { dispatcher, headersTimeout: 200 }))
          assert.strictEqual(silent.code, "UND_ERR_HEADERS_TIMEOUT")
          await dispatcher.destroy()

          const hasty = new Undici.Agent({ connect: undici.buildConnector({ timeout: 300 }) })
          const late = await errorOf(Undici.request(`http://${EMPTY}/`, { dispatcher: hasty }))
          assert.deepStrictEqual([late.code, late.message], [
            "UND_ERR_CONNECT_TIMEOUT",
            `Connect Timeout Error (attempted address: ${EMPTY}:80, timeout: 300ms)`
          ])
          await hasty.destroy()
          const trusting = new Undici.Agent({ connect: undici.buildConnector({ ca }) })
          const secret = await Undici.request(`${secure}/secret`, { dispatcher: trusting })
          assert.strictEqual((await secret.body.json() as { url: string }).url, "/secret")
          await trusting.destroy()
        })

        yield* Effect.promise(async () => {
          const answer = await answerTo(https.get(`${secure}/known`, { ca }))
          assert.match(await textOf(answer), /known/)
          assert.strictEqual((await errorOf(https.get(secure))).code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
          const hungUp = await errorOf(http.get(`${url}/hang-up`))
          assert.deepStrictEqual([hungUp.code, hungUp.message], ["ECONNRESET", "socket hang up"])
          const request = http.get(`${url}/reset`)
          request.on("error", () => {})
          assert.strictEqual((await errorOf(octetsOf(await answerTo(request)))).message, "aborted")
          http.agent.destroy()
          https.agent.destroy()
        })

        yield* Effect.promise(async () => {
          const socket = new WebSocket(url.replace("http", "ws"), { agent: http.agent })
          await once(socket, "open")
          socket.send(Uint8Array.of(1, 2, 3))
          const [data, isBinary] = await once(socket, "message") as [Buffer, boolean]
          assert.deepStrictEqual([data, isBinary], [Buffer.of(1, 2, 3), true])
          const close = once(socket, "close")
          socket.close(4003, "bye")
          assert.deepStrictEqual((await close)[0], 4003)
        })
      }))
  })
}, ON_AND_OFF)
