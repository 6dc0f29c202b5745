/**
 * An `express` application, served by strata, and by the kernel.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import express from "express"
import { once } from "node:events"
import type * as Http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { answerTo, closed, errorOf, listening, textOf } from "../support/nodePrograms.ts"
import { digest, patterned } from "../support/transfer.ts"
import { type World, worlds } from "../support/worlds.ts"

const application = () => {
  const app = express()
  app.disable("x-powered-by")
  app.get("/", (_, response) => void response.send("hello"))
  app.get("/users/:name", (request, response) => {
    response.json({ name: request.params.name, query: request.query, ip: request.ip, protocol: request.protocol })
  })
  app.post("/json", express.json(), (request, response) => void response.status(201).json(request.body))
  app.post("/form", express.urlencoded(), (request, response) => void response.json(request.body))
  app.put("/upload", express.raw({ limit: "8mb" }), (request, response) => void response.send(digest(request.body)))
  app.get("/stream", async (_, response) => {
    for (let index = 0; index < 5; index++) {
      response.write(`${index} `)
      await sleep(2)
    }
    response.end("end")
  })
  app.get("/large", (_, response) => void response.send(Buffer.from(patterned(1_500_000, 2))))
  app.get("/fails", () => {
    throw new Error("it went wrong")
  })
  app.get("/rejects", async () => Promise.reject(Object.assign(new Error("no tea"), { status: 418 })))
  app.use(
    (error: Error & { status?: number }, _: express.Request, response: express.Response, __: express.NextFunction) => {
      response.status(error.status ?? 500).json({ error: error.message })
    }
  )
  return app
}

const json = (text: string) => JSON.parse(text) as unknown

describe.each(worlds)("express over %s", (_name, enter) => {
  let world: World
  let server: Http.Server
  let url: string
  beforeAll(async () => {
    world = await enter()
    server = world.server.http.createServer(application())
    url = `http://${world.host}:${await listening(server, world.host)}`
  })
  afterAll(async () => {
    world.client.http.agent.destroy()
    server.closeAllConnections()
    await closed(server)
    await world.leave()
  })

  const ask = async (method: string, path: string, body: string | Uint8Array = "", headers = {}) => {
    const request = world.client.http.request(`${url}${path}`, { method, headers }).end(body)
    const answer = await answerTo(request)
    const text = await textOf(answer)
    return { status: answer.statusCode, headers: answer.headers, text, reused: request.reusedSocket }
  }
  it("has routes", async () => {
    assert.strictEqual((await ask("GET", "/")).text, "hello")
    const { headers, text } = await ask("GET", "/users/ann?x=1")
    assert.deepStrictEqual(json(text), { name: "ann", query: { x: "1" }, ip: world.from, protocol: "http" })
    assert.match(String(headers["content-type"]), /^application\/json/)
    assert.strictEqual((await ask("GET", "/nowhere")).status, 404)
    assert.deepStrictEqual((await ask("HEAD", "/")).headers["content-length"], "5")
  })

  it("takes bodies", async () => {
    const posted = await ask("POST", "/json", "{\"a\":[1,2]}", { "content-type": "application/json" })
    assert.deepStrictEqual([posted.status, json(posted.text)], [201, { a: [1, 2] }])
    const form = await ask("POST", "/form", "a=1&b=two", { "content-type": "application/x-www-form-urlencoded" })
    assert.deepStrictEqual(json(form.text), { a: "1", b: "two" })
    const wrong = await ask("POST", "/json", "{nothing", { "content-type": "application/json" })
    assert.strictEqual(wrong.status, 400)
  })

  it("takes large uploads, but not larger ones", async () => {
    const bytes = patterned(4_000_000, 4)
    const type = { "content-type": "application/octet-stream" }
    assert.strictEqual((await ask("PUT", "/upload", bytes, type)).text, digest(bytes))
    assert.strictEqual(
      (await ask("PUT", "/upload", patterned(9_000_000, 4), { ...type, connection: "close" })).status,
      413
    )
  })

  it("streams answers, and sends large ones", async () => {
    const streamed = await ask("GET", "/stream")
    assert.deepStrictEqual([streamed.text, streamed.headers["transfer-encoding"]], ["0 1 2 3 4 end", "chunked"])
    const answer = await answerTo(world.client.http.get(`${url}/large`))
    const chunks: Array<Uint8Array> = []
    for await (const chunk of answer) chunks.push(chunk as Uint8Array)
    assert.strictEqual(digest(Buffer.concat(chunks)), digest(patterned(1_500_000, 2)))
  })

  it("answers a question that it has answered with that it has not changed", async () => {
    const { headers } = await ask("GET", "/")
    const again = await ask("GET", "/", "", { "if-none-match": headers.etag })
    assert.deepStrictEqual([again.status, again.text], [304, ""])
  })

  it("says what went wrong", async () => {
    const [failed, rejected] = [await ask("GET", "/fails"), await ask("GET", "/rejects")]
    assert.deepStrictEqual([failed.status, json(failed.text)], [500, { error: "it went wrong" }])
    assert.deepStrictEqual([rejected.status, json(rejected.text)], [418, { error: "no tea" }])
  })

  it("keeps connections", async () => {
    await ask("GET", "/")
    await sleep(1)
    assert.isTrue((await ask("GET", "/")).reused)
  })

  it("hears of clients that leave", async () => {
    const left = new Promise<void>((resolve) => {
      server.once("request", (_, response: Http.ServerResponse) => response.once("close", resolve))
    })
    const request: Http.ClientRequest = world.client.http.get(`${url}/stream`)
    await once(request, "response")
    const error = errorOf(request)
    request.destroy(new Error("enough"))
    assert.strictEqual((await error).message, "enough")
    await left
  })
})
