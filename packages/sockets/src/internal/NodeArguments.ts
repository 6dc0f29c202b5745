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
const isNumeric = (value: unknown): value is string => typeof value === "string" && Number(value) >= 0

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
  const { autoSelectFamily, autoSelectFamilyAttemptTimeout: timeout, host, localAddress, localPort } = options
  const { lookup, path, port } = options
  if (path) throw Errors.unsupported(`sockets in the file system, such as ${JSON.stringify(path)}`)
  if (port === undefined) throw Errors.missingArguments()
  if (typeof port !== "number" && typeof port !== "string") {
    throw Errors.invalidType("options.port", "one of type number or string", port)
  }
  if (isGiven(host) && typeof host !== "string") throw Errors.invalidType("options.host", "of type string", host)
  if (localAddress && isIP(localAddress) === 0) throw Errors.invalidAddress(localAddress)
  if (localPort) numberOf("options.localPort", localPort)
  const target = {
    ...options,
    host: host || "localhost",
    port: portOf("Port", port),
    localAddress: localAddress || undefined,
    localPort: localPort || undefined,
    autoSelectFamilyAttemptTimeout: isGiven(timeout)
      ? attemptTimeout("options.autoSelectFamilyAttemptTimeout", timeout)
      : undefined
  }
  if (isGiven(autoSelectFamily)) booleanOf("options.autoSelectFamily", autoSelectFamily)
  if (isGiven(lookup) && typeof lookup !== "function" && isIP(target.host) === 0) {
    throw Errors.invalidType("options.lookup", "of type function", lookup)
  }
  return target
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null

export const numberOf = (what: string, value: unknown): number => {
  if (typeof value !== "number") throw Errors.invalidType(what, "of type number", value)
  return value
}

export const booleanOf = (what: string, value: unknown): boolean => {
  if (typeof value !== "boolean") throw Errors.invalidType(what, "of type boolean", value)
  return value
}

/** The least milliseconds that one of several addresses has before the next one is tried. */
const SHORTEST_ATTEMPT = 10

/** How long one of several addresses is tried, milliseconds. */
export const attemptTimeout = (what: string, value: unknown): number => {
  const given = numberOf(what, value)
  if (!Number.isInteger(given)) throw Errors.outOfRange(what, "an integer", given)
  if (given < 1 || given > MAX_DELAY) throw Errors.outOfRange(what, `>= 1 && <= ${MAX_DELAY}`, given)
  return Math.max(SHORTEST_ATTEMPT, given)
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

/** The longest delay of a timer of Node. */
const MAX_DELAY = 2 ** 31 - 1

/** Of a timer of Node. */
export const milliseconds = (value: unknown): number => {
  const given = numberOf("msecs", value)
  if (!(given >= 0 && Number.isFinite(given))) {
    throw Errors.outOfRange("msecs", "a non-negative finite number", given)
  }
  return Math.min(given, MAX_DELAY)
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
  const more = backlogOf(rest[0]) ?? backlogOf(rest[1])
  if (typeof first === "object" && first !== null) return [listenTarget(first, more), listener]
  if (typeof first === "string" && !isNumeric(first)) return [listenTarget({ path: first }, more), listener]
  const [host] = rest
  return [listenTarget({ port: first, ...(typeof host === "string" ? { host } : {}) }, more), listener]
}

/** What is no number of connections, or none of them, leaves it to the server. */
const backlogOf = (value: unknown): number | undefined => Number(value) > 0 ? Number(value) : undefined

/** What `listen` may be given, and what of it strata has not. */
type ListenOptions = Omit<NetListenOptions, "port"> & {
  readonly port?: unknown
  readonly path?: unknown
  readonly fd?: unknown
}

const listenTarget = (options: ListenOptions, more: number | undefined): ListenTarget => {
  const { backlog, fd, host, path, port } = options
  if (typeof fd === "number" && fd >= 0) throw Errors.unsupported("file descriptors to listen on")
  const wanted = "port" in options ? port ?? 0 : undefined
  if (typeof wanted === "number" || typeof wanted === "string") {
    return {
      ...options,
      backlog: backlogOf(backlog) ?? more,
      host: host || undefined,
      port: portOf("options.port", wanted)
    }
  }
  if (path && typeof path === "string") {
    throw Errors.unsupported(`sockets in the file system, such as ${JSON.stringify(path)}`)
  }
  if (!("port" in options || "path" in options)) {
    const what = inspect(options)
    throw Errors.invalidValue(`The argument 'options' must have the property "port" or "path". Received ${what}`)
  }
  throw invalidOptions(options)
}

const invalidOptions = (options: unknown): Error =>
  Errors.invalidValue(`The argument 'options' is invalid. Received ${inspect(options)}`)
