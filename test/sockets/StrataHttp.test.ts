/**
 * Effect's HTTP server and client on a stack that talks to itself, in real time: `node:http` knows no other.
 */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import { Loopback } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as StrataHttp from "@strata/sockets/StrataHttp"
import * as StrataTls from "@strata/sockets/StrataTls"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Undici from "undici"
import { digest, patterned } from "../support/transfer.ts"

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8")
const cert = fixture("tls.crt")
const key = fixture("tls.key")

const Stack = Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer))

let interrupted = 0

const routes = HttpRouter.use((router) =>
  Effect.gen(function*() {
    yield* router.add("GET", "/hello", HttpServerResponse.text("hello"))
    yield* router.add(
      "GET",
      "/who",
      Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ remoteAddress }) => HttpServerResponse.jsonUnsafe(remoteAddress)
      )
    )
    yield* router.add(
      "POST",
      "/echo",
      Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) => HttpServerResponse.stream(stream))
    )
    yield* router.add(
      "GET",
      "/never",
      Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
    )
  })
)

const Server = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provide(Layer.unwrap(
    Effect.map(StrataHttp.makeServer, (server) => NodeHttpServer.layer(() => server, { port: 80 }))
  ))
)

const Client = NodeHttpClient.layerNodeHttpNoAgent.pipe(
  Layer.provide(Layer.effect(NodeHttpClient.HttpAgent, StrataHttp.makeAgent({ keepAlive: true, ca: cert })))
)

const Host = Layer.mergeAll(Server, Client).pipe(Layer.provideMerge(Stack))

layer(Host, { excludeTestServices: true })("StrataHttp", (it) => {
  it.effect("answers, on connections that stay open", () =>
    Effect.gen(function*() {
      for (let index = 0; index < 5; index++) {
        const response = yield* HttpClient.get("http://127.0.0.1/hello")
        assert.deepStrictEqual([response.status, yield* response.text], [200, "hello"])
      }
      const established = (yield* (yield* Tcp).status).filter(({ state }) => state === "ESTABLISHED")
      // Both ends of one.
      assert.strictEqual(established.length, 2)
    }))

  it.effect("says who asks", () =>
    Effect.gen(function*() {
      const response = yield* HttpClient.get("http://127.0.0.1/who")
      assert.match(JSON.stringify(yield* response.json), /127\.0\.0\.1/)
    }))

  it.effect("streams bodies both ways", () =>
    Effect.gen(function*() {
      const bytes = patterned(1_000_000, 9)
      const response = yield* HttpClient.execute(
        HttpClientRequest.post("http://127.0.0.1/echo").pipe(HttpClientRequest.bodyUint8Array(bytes))
      )
      const chunks = yield* Stream.runCollect(response.stream)
      assert.strictEqual(digest(Buffer.concat([...chunks])), digest(bytes))
    }))

  it.effect("serves many at once", () =>
    Effect.gen(function*() {
      const one = Effect.flatMap(HttpClient.get("http://127.0.0.1/hello"), ({ text }) => text)
      const all = yield* Effect.all(Array.from({ length: 30 }, () => one), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(all), new Set(["hello"]))
    }))

  it.effect("interrupts a handler whose client is gone", () =>
    Effect.gen(function*() {
      const before = interrupted
      const exit = yield* Effect.exit(Effect.timeout(HttpClient.get("http://127.0.0.1/never"), "100 millis"))
      assert.isTrue(Exit.isFailure(exit))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => interrupted === before + 1 })
    }))

  it.effect("says that nobody listens", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(HttpClient.get("http://127.0.0.1:81/hello"))
      assert.strictEqual(error.reason._tag, "TransportError")
      const retried = yield* Effect.exit(
        Effect.retry(HttpClient.get("http://127.0.0.1:81/hello"), Schedule.recurs(2))
      )
      assert.isTrue(Exit.isFailure(retried))
    }))

  it.effect("speaks https as a client", () =>
    Effect.gen(function*() {
      const server = yield* StrataTls.makeServer({ port: 443, tls: { cert, key } })
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          yield* pull
          yield* (yield* socket.writer).write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
          yield* Effect.ignore(Effect.forever(pull))
        }))
      ))
      const { status, text } = yield* HttpClient.get("https://localhost/")
      assert.deepStrictEqual([status, yield* text], [200, "secret"])
    }))

  it.effect("gives undici's client a way", () =>
    Effect.gen(function*() {
      const dispatcher = Layer.effect(
        NodeHttpClient.Dispatcher,
        Effect.map(StrataNode.StrataNode, ({ undici }) => new Undici.Agent({ connect: undici.connect }))
      ).pipe(Layer.provide(StrataNode.layer))
      const client = NodeHttpClient.layerUndiciNoDispatcher.pipe(Layer.provide(dispatcher))
      const { status, text } = yield* HttpClient.get("http://127.0.0.1/hello").pipe(
        Effect.provide(client, { local: true })
      )
      assert.deepStrictEqual([status, yield* text], [200, "hello"])
    }))

  it.effect("does not listen twice on a port", () =>
    Effect.gen(function*() {
      const server = yield* StrataHttp.makeServer
      const error = yield* Effect.flip(Effect.scoped(NodeHttpServer.make(() => server, { port: 80 })))
      assert.match(String(error.cause), /in use/)
    }))

  it.effect("lets its port go", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 2; round++) {
        const server = yield* StrataHttp.makeServer
        yield* Effect.scoped(NodeHttpServer.make(() => server, { port: 8080 }))
      }
    }))
})
