/**
 * The arguments of `net.Socket` and `net.Server`, in all the forms they have, as one; and the errors for those that are wrong.
 */
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { type IpcSocketConnectOpts, isIP, type SetKeepAliveOptions } from "node:net"
import { inspect } from "node:util"
import type { NetListenOptions } from "../node/NetServer.ts"
import type { NetConnectOptions } from "../node/NetSocketOptions.ts"
import * as Errors from "../node/NodeErrors.ts"

type Callback = () => void

/** (options[, listener]), (port[, host][, listener]) or (path[, listener]), of which a path is refused when it is run. */
export type ConnectArguments = readonly [
  target?: NetConnectOptions | IpcSocketConnectOpts | number | string | undefined,
  ...rest: ReadonlyArray<string | Callback | null | undefined>
]

/** Where to connect to, checked. */
export interface Target extends Omit<NetConnectOptions, "port" | "host"> {
  readonly host: string
  readonly port: number
}

/** A port given as text is a port. */
const isNumeric = (value: unknown): value is string => typeof value === "string" && value !== "" && Number(value) >= 0

export const connectArguments = (
  [target, ...rest]: ConnectArguments
): readonly [options: Partial<NetConnectOptions> & { readonly path?: unknown }, listener: Callback | undefined] => {
  const last = rest[rest.length - 1]
  const listener = typeof last === "function" ? last : undefined
  if (typeof target === "object" && target !== null) return [target, listener]
  if (typeof target === "string" && !isNumeric(target)) return [{ path: target }, listener]
  if (typeof target === "function" || target === undefined) return [{}, listener]
  return [{ port: target, ...(typeof rest[0] === "string" ? { host: rest[0] } : {}) }, listener]
}

export const connectTarget = (options: Partial<NetConnectOptions> & { readonly path?: unknown }): Target => {
  const { host = "localhost", localAddress, localPort, lookup, path, port } = options
  if (path) throw Errors.unsupported(`sockets in the file system, such as ${JSON.stringify(path)}`)
  if (port === undefined) throw Errors.missingArguments()
  if (typeof port !== "number" && typeof port !== "string") {
    throw Errors.invalidType("options.port", "one of type number or string", port)
  }
  if (host !== null && typeof host !== "string") throw Errors.invalidType("options.host", "of type string", host)
  if (localAddress && isIP(localAddress) === 0) throw Errors.invalidAddress(localAddress)
  if (localPort !== undefined && localPort !== null && typeof localPort !== "number") {
    throw Errors.invalidType("options.localPort", "of type number", localPort)
  }
  if (lookup !== undefined && lookup !== null && typeof lookup !== "function") {
    throw Errors.invalidType("options.lookup", "of type function", lookup)
  }
  return { ...options, host: host || "localhost", port: portOf("Port", port) }
}

/** A number from 0 to 65,535, perhaps as text. */
export const portOf = (what: string, port: number | string): number => {
  const number = typeof port === "string" && port.trim() === "" ? NaN : Number(port)
  if (!Number.isInteger(number) || number < 0 || number > 0xffff) throw Errors.badPort(what, port)
  return number
}

const whole = (given: number): number => Math.trunc(given / 1000) * 1000

/** Of a keep-alive, as Node and its kernel take it: in whole seconds, and all times together or none. */
export const keepAliveSettings = (options: SetKeepAliveOptions): Partial<TcpSettings> => {
  const { count = 10, enable = false, initialDelay = 0, interval = 1000 } = options
  return whole(initialDelay) <= 0 ? { keepAlive: enable } : {
    keepAlive: enable,
    keepAliveIdle: whole(initialDelay),
    keepAliveInterval: Math.max(1000, whole(interval)),
    keepAliveProbes: Math.max(1, Math.trunc(count))
  }
}

/** Of a timer of Node. */
export const milliseconds = (value: unknown): number => {
  if (typeof value !== "number") throw Errors.invalidType("msecs", "of type number", value)
  if (!(value >= 0 && Number.isFinite(value))) {
    throw Errors.outOfRange("msecs", "a non-negative finite number", value)
  }
  return Math.min(value, 2 ** 31 - 1)
}

/** (options[, listener]), ([port][, host][, backlog][, listener]). */
export type ListenArguments = ReadonlyArray<NetListenOptions | number | string | Callback | null | undefined>

/** Where to listen, checked. */
export interface ListenTarget extends Omit<NetListenOptions, "port"> {
  readonly port: number
}

export const listenArguments = (
  given: ListenArguments
): readonly [target: ListenTarget, listener: Callback | undefined] => {
  const last = given[given.length - 1]
  const listener = typeof last === "function" ? last : undefined
  const [first, ...rest] = listener === undefined ? given : given.slice(0, -1)
  if (typeof first === "object" && first !== null) return [listenTarget(first), listener]
  if (typeof first === "string" && !isNumeric(first)) return [listenTarget({ path: first }), listener]
  if (typeof first === "boolean") throw invalidOptions({ port: first })
  const host = rest.find((value) => typeof value === "string")
  const backlog = rest.find((value) => typeof value === "number")
  const port = typeof first === "number" || typeof first === "string" ? first : 0
  return [listenTarget({ port, ...(host ? { host } : {}), ...(backlog ? { backlog } : {}) }), listener]
}

const listenTarget = (options: NetListenOptions & { readonly path?: unknown; readonly fd?: unknown }): ListenTarget => {
  const { fd, host, path, port } = options
  if (typeof path === "string") {
    throw Errors.unsupported(`sockets in the file system, such as ${JSON.stringify(path)}`)
  }
  if (typeof fd === "number") throw Errors.unsupported("file descriptors to listen on")
  if (!("port" in options)) {
    const what = inspect(options)
    throw Errors.invalidValue(`The argument 'options' must have the property "port" or "path". Received ${what}`)
  }
  if (port !== undefined && port !== null && typeof port !== "number" && typeof port !== "string") {
    throw invalidOptions(options)
  }
  return { ...options, host: host || undefined, port: portOf("options.port", port ?? 0) }
}

const invalidOptions = (options: unknown): Error =>
  Errors.invalidValue(`The argument 'options' is invalid. Received ${inspect(options)}`)
