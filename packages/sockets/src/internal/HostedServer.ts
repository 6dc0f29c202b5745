/**
 * A server of Node, HTTP's or TLS's, that listens on a stack.
 *
 * Such a server is a `net.Server` that does its work in listeners for `"connection"`. Here it keeps that part, and leaves
 * listening, closing and counting to a server of the stack, which hands it connections. So whatever the server of Node
 * does, with timeouts, `closeIdleConnections` or `"upgrade"`, is what it does on the kernel's sockets.
 */
import type * as Net from "node:net"
import type { StrataNet } from "../node/Net.ts"
import type { NetServerOptions } from "../node/NetServer.ts"
import type { NetSocket } from "../node/NetSocket.ts"

/** What servers and agents need of a stack. */
export type Network = Pick<StrataNet, "connect" | "createServer">

/** What a server may be told of its connections beside what Node knows. */
export type StackOptions = Pick<
  NetServerOptions,
  "copyWrites" | "sendBuffer" | "receiveBuffer" | "congestion" | "settings"
>

/** That part of the options of a server of Node that is about its connections. */
export const ofConnections = (options: object): NetServerOptions => {
  const { allowHalfOpen, congestion, copyWrites, highWaterMark, keepAlive } = options as NetServerOptions
  const { blockList, keepAliveInitialDelay, noDelay, receiveBuffer, sendBuffer, settings } = options as NetServerOptions
  return {
    allowHalfOpen,
    blockList,
    congestion,
    copyWrites,
    highWaterMark,
    keepAlive,
    keepAliveInitialDelay,
    noDelay,
    receiveBuffer,
    sendBuffer,
    settings
  }
}

/** What is done with a connection; by default it is emitted. */
export type Connected = (socket: NetSocket) => void

/** Makes `server` listen by `network`. It must not have listened yet. */
export const hosted = <Server extends Net.Server>(
  server: Server,
  network: Network,
  options: NetServerOptions,
  connected: Connected = (socket) => void server.emit("connection", socket)
): Server => {
  const inner = network.createServer(options)
  const prepareToClose = server.close
  for (const event of ["listening", "close", "error", "drop"]) {
    inner.on(event, (...words: ReadonlyArray<unknown>) => void server.emit(event, ...words))
  }
  inner.on("connection", connected)

  const listen = (...given: ReadonlyArray<unknown>): Server => {
    const last = given.at(-1)
    const listening = typeof last === "function" ? last as () => void : undefined
    inner.listen(...(listening === undefined ? given : given.slice(0, -1)) as [Net.ListenOptions])
    if (listening !== undefined) server.once("listening", listening)
    return server
  }
  const close = (closed?: (error?: Error) => void): Server => {
    prepareToClose.call(server)
    inner.close(closed && ((error) => closed.call(server, error)))
    return server
  }
  const chained = (act: () => void) => (): Server => {
    act()
    return server
  }
  const methods = {
    listen,
    close,
    address: () => inner.address(),
    getConnections: (counted: (error: Error | null, count: number) => void) => {
      inner.getConnections(counted)
      return server
    },
    ref: chained(() => inner.ref()),
    unref: chained(() => inner.unref()),
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve, reject) => {
        if (!inner.listening) return resolve()
        close((error) => error === undefined ? resolve() : reject(error))
      }),
    // Without a handle of the kernel's, that of Node would take the server for closed before its connections are.
    _emitCloseIfDrained: () => {}
  }
  for (const name of Reflect.ownKeys(methods)) {
    const value = methods[name as keyof typeof methods]
    Object.defineProperty(server, name, { value, writable: true, configurable: true })
  }
  Object.defineProperty(server, "maxConnections", {
    get: () => inner.maxConnections,
    set: (most: number) => {
      inner.maxConnections = most
    },
    configurable: true,
    enumerable: true
  })
  Object.defineProperty(server, "listening", { get: () => inner.listening, configurable: true })
  return server
}
