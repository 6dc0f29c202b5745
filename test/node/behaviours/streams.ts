/**
 * What the rows about `node:net` share: sockets whose events are logged, and pairs of them.
 */
import type {
  ListenOptions,
  NetConnectOpts,
  Server,
  ServerOpts,
  Socket,
  SocketConstructorOpts,
  TcpNetConnectOpts
} from "node:net"
import { isGone, once, type Side, words, type World } from "./world.ts"

/** Logs what happens to a socket. `reads`: whether what it receives is read. */
export const watch = (side: Side, socket: Socket, { prefix = "", reads = true } = {}): Socket => {
  const log = (event: string, ...more: ReadonlyArray<unknown>) => side.log(prefix + event, ...more)
  for (const event of ["connect", "ready", "end", "finish", "timeout"]) socket.on(event, () => log(event))
  if (reads) socket.on("data", (chunk) => log("data", chunk.toString()))
  socket.on("error", (error) => log("error", words(error)))
  socket.on("close", (hadError) => log("close", hadError))
  return socket
}

export type Options = Partial<ServerOpts & ListenOptions>

/** A server on a port of its own. */
export const serve = async (
  world: World,
  accept: (socket: Socket) => void = () => {},
  options: Options = {}
): Promise<{ readonly server: Server; readonly port: number }> => {
  const { net, address } = world.server
  const server = world.track(net.createServer(options as ServerOpts, (socket) => {
    world.track(socket).on("error", () => {})
    accept(socket)
  }))
  server.listen({ port: 0, host: address, ...options })
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  world.ports.add(port)
  return { server, port }
}

/** A port of the server's on which nobody listens. */
export const unused = async (world: World): Promise<number> => {
  const { port, server } = await serve(world)
  server.close()
  await once(server, "close")
  return port
}

/** Connects a socket that is watched. */
export const dial = (
  world: World,
  port: number,
  options: Partial<TcpNetConnectOpts & SocketConstructorOpts> = {},
  watching: Parameters<typeof watch>[2] = {}
): Socket => {
  const { client, server, track } = world
  return watch(
    client,
    track(client.net.connect({ port, host: server.address, ...options } as NetConnectOpts)),
    watching
  )
}

export interface Pair {
  readonly client: Socket
  readonly server: Socket
  readonly listener: Server
  readonly port: number
}

interface PairOptions {
  readonly client?: Partial<TcpNetConnectOpts & SocketConstructorOpts>
  readonly server?: Options
  /** Whether what they receive is read and logged; both do by default. */
  readonly clientReads?: boolean
  readonly serverReads?: boolean
}

/** Two sockets that are connected, and watched. */
export const pair = async (world: World, options: PairOptions = {}): Promise<Pair> => {
  const { promise: accepting, resolve: accepted } = Promise.withResolvers<Socket>()
  const { port, server: listener } = await serve(
    world,
    (socket) => accepted(watch(world.server, socket, { reads: options.serverReads ?? true })),
    options.server
  )
  const client = dial(world, port, options.client, { reads: options.clientReads ?? true })
  const [server] = await Promise.all([accepting, once(client, "connect")])
  return { client, server, listener, port }
}

/** When all of them, which are tracked, have said that they are closed. */
export const closed = async (...sockets: ReadonlyArray<Socket | Server>): Promise<void> => {
  await Promise.all(sockets.map((socket) => isGone(socket) ? undefined : once(socket, "close")))
}

/** When `count` octets have been read in all. */
export const read = (socket: Socket, count: number): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      if (socket.bytesRead < count) return
      socket.off("data", look)
      resolve()
    }
    socket.on("data", look)
    look()
  })

/** Calls back with what `write` and `end` call back with. */
export const told = (side: Side, what: string) => (error?: Error | null): void =>
  side.log(what, "callback", ...(error ? [words(error)] : []))
