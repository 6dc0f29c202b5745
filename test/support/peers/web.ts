/**
 * A program of Node on the kernel's sockets, at the other end of a TAP: `serve <json>` until it is killed, or `visit <url>`, a
 * client of WebSockets that tells what it saw.
 */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { WebSocket, WebSocketServer } from "ws"

export interface Plan {
  readonly http: number
  readonly https: number
  readonly cert: string
  readonly key: string
}

/** What a client of WebSockets saw. */
export interface Visit {
  readonly echoed: ReadonlyArray<string>
  readonly ponged: boolean
  readonly code: number
  readonly reason: string
}

const answer: RequestListener = async (request, response) => {
  switch (request.url) {
    case "/reset":
      response.writeHead(200, { "content-length": 100 })
      response.write("some")
      setTimeout(() => request.socket.resetAndDestroy(), 20)
      return
    case "/silence":
      return
    case "/hang-up":
      request.socket.destroy()
      return
    default: {
      const hash = createHash("sha256")
      for await (const chunk of request) hash.update(chunk as Buffer)
      response.end(JSON.stringify({ url: request.url, from: request.socket.remoteAddress, hash: hash.digest("hex") }))
    }
  }
}

const serve = (plan: Plan): void => {
  const server = createServer(answer)
  new WebSocketServer({ server, perMessageDeflate: true }).on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }))
  })
  server.listen(plan.http, "0.0.0.0", () => {
    createSecureServer(plan, answer).listen(plan.https, "0.0.0.0", () => void process.stdout.write("ready\n"))
  })
}

const visit = async (url: string): Promise<void> => {
  const socket = new WebSocket(url, { perMessageDeflate: true })
  await once(socket, "open")
  const echoed: Array<string> = []
  for (const message of ["hello", "again and ".repeat(20_000)]) {
    socket.send(message)
    const [data] = await once(socket, "message") as [Buffer]
    echoed.push(createHash("sha256").update(data).digest("hex"))
  }
  socket.ping()
  const [pong] = await once(socket, "pong")
  socket.send("close")
  const [code, reason] = await once(socket, "close") as [number, Buffer]
  const told: Visit = { echoed, ponged: pong !== undefined, code, reason: reason.toString() }
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

const [role, given] = process.argv.slice(2)
if (role === "serve") serve(JSON.parse(given!) as Plan)
else await visit(given!)
