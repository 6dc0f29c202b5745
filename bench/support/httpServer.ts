/**
 * One HTTP server for `bench/http.ts`, on strata or on the kernel: `httpServer.ts <options as JSON>`. It prints `ready` and ends
 * when its standard input does.
 *
 * `GET /` is answered with a few octets, `GET /<octets>` with so many, `PUT /` with how many came, `PUT /hash` with their hash.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as NodeHttp from "node:http"
import { Readable } from "node:stream"
import { beginning, chunk } from "./pattern.ts"

export type HttpServerOptions =
  | { readonly on: "kernel"; readonly port: number }
  | {
    readonly on: "strata"
    readonly port: number
    readonly namespace: string
    readonly device: string
    readonly address: string
    /** Whether what is written is copied first. */
    readonly copies: boolean
  }

/** The first so many octets of the pattern, again and again. */
const octetsOf = function*(octets: number) {
  for (let left = octets; left > 0; left -= chunk.length) yield beginning(Math.min(left, chunk.length))
}

const upload = (request: NodeHttp.IncomingMessage, response: NodeHttp.ServerResponse): void => {
  const hash = request.url === "/hash" ? createHash("sha256") : undefined
  let octets = 0
  request.on("data", (received: Buffer) => {
    octets += received.length
    hash?.update(received)
  })
  request.on("end", () => response.end(hash?.digest("hex") ?? String(octets)))
}

const download = (octets: number, response: NodeHttp.ServerResponse): void => {
  response.writeHead(200, { "content-length": octets })
  Readable.from(octetsOf(octets)).pipe(response)
}

const answer: NodeHttp.RequestListener = (request, response) => {
  if (request.method === "PUT") upload(request, response)
  else if (request.url === "/") response.end("Hello, World!")
  else download(Number(request.url!.slice(1)), response)
}

const serve = (make: (listener: NodeHttp.RequestListener) => NodeHttp.Server, port: number) =>
  Effect.promise(async () => {
    const server = make(answer).listen(port, "0.0.0.0")
    await once(server, "listening")
    process.stdout.write("ready\n")
    process.stdin.resume()
    await once(process.stdin, "end")
    process.exit()
  })

const options: HttpServerOptions = JSON.parse(process.argv[2]!)

if (options.on === "kernel") NodeRuntime.runMain(serve(NodeHttp.createServer, options.port))
else {
  const { address, device: name, namespace } = options
  const host = StrataNode.layer.pipe(
    Layer.provide(Tap.layer({ name, address, namespace }).pipe(Layer.provideMerge(NetworkStack.layer)))
  )
  const program = Effect.flatMap(
    StrataNode.StrataNode,
    ({ http }) => serve((listener) => http.createServer({ copyWrites: options.copies }, listener), options.port)
  )
  NodeRuntime.runMain(Effect.provide(program, host))
}
