/**
 * A program whose listeners throw: what they throw is an uncaught exception, as with Node's sockets, and the stack goes on.
 */
import { NetworkStack } from "@strata/core"
import { Loopback } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { once } from "node:events"

const Stack = Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer))
const runtime = ManagedRuntime.make(Layer.provide(StrataNode.layer, Stack))
const { net } = await runtime.runPromise(StrataNode.StrataNode)

const print = (line: string): void => void process.stdout.write(`${line}\n`)

process.on("uncaughtException", (error) => print(`uncaught: ${error.message}`))

const fail = (where: string) => (): void => {
  throw new Error(where)
}
const server = net.createServer((socket) => {
  socket.once("data", fail("data"))
  socket.on("data", (chunk) => socket.write(chunk))
}).listen(7)
server.on("connection", fail("connection"))
await once(server, "listening")

const socket = net.connect(7, "127.0.0.1")
const connected = once(socket, "connect")
socket.on("connect", fail("connect"))
await connected
socket.write("first")
setTimeout(() => socket.write("second"), 50)
const [echo] = await once(socket, "data") as [Buffer]
print(`echoed: ${echo}`)
socket.end()
await once(socket, "close")
server.close()
await runtime.dispose()
