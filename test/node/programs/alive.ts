/**
 * A process with a stack on which nothing happens: `alive.ts <what is held>`. It prints `ready` once that is there, lets go of it when it
 * hears something on its standard input, and ends as soon as nothing keeps it.
 */
import { NetworkStack } from "@strata/core"
import { Loopback } from "@strata/drivers"
import { type NetServer, type NetSocket, StrataNode } from "@strata/sockets/node"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { once } from "node:events"

const Stack = Loopback.layer.pipe(Layer.provideMerge(NetworkStack.layer))
const runtime = ManagedRuntime.make(Layer.provide(StrataNode.layer, Stack))
const { net } = await runtime.runPromise(StrataNode.StrataNode)

const listening = async (): Promise<NetServer> => {
  const server = net.createServer().listen(7)
  await once(server, "listening")
  return server
}

/** One end of a connection whose other end holds nobody. */
const connected = async (): Promise<NetSocket> => {
  const server = await listening()
  server.unref()
  server.once("connection", (socket) => void socket.unref().resume().on("error", () => {}))
  const socket = net.connect(7, "127.0.0.1")
  await once(socket, "connect")
  return socket.resume()
}

const cases: Readonly<Record<string, () => Promise<{ readonly letGo: () => void }>>> = {
  "a server": async () => {
    const server = await listening()
    return { letGo: () => server.close() }
  },
  "a server that is held again": async () => {
    const server = (await listening()).unref().ref()
    return { letGo: () => server.unref() }
  },
  "a connection": async () => {
    const socket = await connected()
    // One that closes in order would leave TIME-WAIT behind, which is the stack's, and keeps the process for a minute.
    return { letGo: () => socket.resetAndDestroy() }
  },
  "a connection of nobody's": async () => {
    const socket = await connected()
    return { letGo: () => socket.unref() }
  },
  nothing: async () => {
    const socket = await connected()
    socket.unref()
    return { letGo: () => {} }
  }
}

const { letGo } = await cases[process.argv[2]!]!()
process.stdin.once("data", () => {
  letGo()
  process.stdin.destroy()
}) // Waiting for its input does not keep it.
;(process.stdin as unknown as NetSocket).unref()
process.stdout.write("ready\n")
