/**
 * What goes wrong, in the words of Node: the errors that `node:net` has for the same, property by property, since programs look at
 * `code`, `syscall`, `address` and `port`.
 */
import type { TcpError } from "@strata/core"
import { getSystemErrorMap, inspect } from "node:util"

/** By the name of the error: its number, negative as Node has it, and what it is called. */
const SYSTEM_ERRORS: ReadonlyMap<string, { readonly errno: number; readonly text: string }> = new Map(
  [...getSystemErrorMap()].map(([errno, [name, text]]) => [name, { errno, text }])
)

/** getaddrinfo's EAI_NONAME, which Node tells as ENOTFOUND. */
const NO_NAME = -3008

export const errnoOf = (code: string): number => SYSTEM_ERRORS.get(code)?.errno ?? 0

export const textOf = (code: string): string => SYSTEM_ERRORS.get(code)?.text ?? code

/** An endpoint as messages show it. */
const show = (address: string, port: number | undefined): string => port ? `${address}:${port}` : address

/** A failed call of the system, such as `read ECONNRESET`. */
export const systemError = (syscall: string, code: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`), { errno: errnoOf(code), code, syscall })

/** The same of an endpoint, such as `connect ECONNREFUSED 192.0.2.1:80`; `local` is what a program bound the socket to. */
export const endpointError = (
  syscall: string,
  code: string,
  address: string,
  port?: number,
  local?: { readonly address: string; readonly port: number }
): NodeJS.ErrnoException => {
  const details = local === undefined ? "" : ` - Local (${local.address}:${local.port})`
  return Object.assign(new Error(`${syscall} ${code} ${show(address, port)}${details}`), {
    errno: errnoOf(code),
    code,
    syscall,
    address,
    ...(port ? { port } : {}),
    ...(local === undefined || local.port === 0 ? {} : { localAddress: local.address, localPort: local.port })
  })
}

/** What a server's `listen` fails with, such as `listen EADDRINUSE: address already in use 0.0.0.0:80`. */
export const listenError = (code: string, address: string, port: number | undefined): NodeJS.ErrnoException =>
  Object.assign(new Error(`listen ${code}: ${textOf(code)} ${show(address, port)}`), {
    code,
    errno: errnoOf(code),
    syscall: "listen",
    address,
    ...(port ? { port } : {})
  })

/** A name that nobody knows. */
export const notFound = (hostname: string, cause?: unknown): NodeJS.ErrnoException =>
  Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`, cause === undefined ? {} : { cause }), {
    errno: NO_NAME,
    code: "ENOTFOUND",
    syscall: "getaddrinfo",
    hostname
  })

/** The code of what a connection or a listener failed with. */
export const codeOf = ({ reason }: TcpError): string => {
  switch (reason._tag) {
    case "ConnectionRefused":
      return "ECONNREFUSED"
    case "ConnectionReset":
      return "ECONNRESET"
    case "ConnectionTimedOut":
      return "ETIMEDOUT"
    case "Unreachable":
      return "EHOSTUNREACH"
    case "AddressInUse":
      return "EADDRINUSE"
    case "AddressNotAvailable":
    case "PortsExhausted":
      return "EADDRNOTAVAIL"
    case "InvalidAddress":
      return "EINVAL"
    case "ConnectionClosed":
      return "ECONNABORTED"
  }
}

type ErrorClass = new(message: string) => Error

/** One of Node's own errors, of which `code` says which. */
export const coded = (code: string, message: string, Base: ErrorClass = Error): NodeJS.ErrnoException =>
  Object.assign(new Base(message), { code })

/** Characters of a text that a message shows all of. */
const SHOWN = 28

/** What was received, as Node describes it. */
export const received = (value: unknown): string => {
  if (value === undefined || value === null) return `Received ${value}`
  if (typeof value === "function") return `Received function ${value.name}`
  if (typeof value !== "object") return `Received type ${typeof value} (${inspect(shortened(value))})`
  const { constructor } = value
  return constructor?.name ? `Received an instance of ${constructor.name}` : `Received ${inspect(value, { depth: -1 })}`
}

const shortened = (value: unknown): unknown =>
  typeof value === "string" && value.length > SHOWN ? `${value.slice(0, SHOWN - 3)}...` : value

/** `what` is of another type than `expected` says: `of type number`. */
export const invalidType = (what: string, expected: string, value: unknown): NodeJS.ErrnoException =>
  coded(
    "ERR_INVALID_ARG_TYPE",
    `The "${what}" ${what.includes(".") ? "property" : "argument"} must be ${expected}. ${received(value)}`,
    TypeError
  )

export const invalidValue = (message: string): NodeJS.ErrnoException =>
  coded("ERR_INVALID_ARG_VALUE", message, TypeError)

export const badPort = (what: string, value: unknown): NodeJS.ErrnoException =>
  coded("ERR_SOCKET_BAD_PORT", `${what} should be >= 0 and < 65536. ${received(value)}.`, RangeError)

export const outOfRange = (what: string, range: string, value: unknown): NodeJS.ErrnoException =>
  coded(
    "ERR_OUT_OF_RANGE",
    `The value of "${what}" is out of range. It must be ${range}. Received ${
      inspect(value, { numericSeparator: isLarge(value) })
    }`,
    RangeError
  )

/** Of such a number a message shows the thousands. */
const isLarge = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) > 2 ** 32

export const missingArguments = (): NodeJS.ErrnoException =>
  coded("ERR_MISSING_ARGS", "The \"options\" or \"port\" or \"path\" argument must be specified", TypeError)

export const invalidAddress = (address: string): NodeJS.ErrnoException =>
  coded("ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${address}`, TypeError)

/** An address that a list of the program's names. */
export const blocked = (address: string): NodeJS.ErrnoException =>
  coded("ERR_IP_BLOCKED", `IP(${address}) is blocked by net.BlockList`)

export const socketClosed = (): NodeJS.ErrnoException => coded("ERR_SOCKET_CLOSED", "Socket is closed")

export const closedBeforeConnection = (): NodeJS.ErrnoException =>
  coded("ERR_SOCKET_CLOSED_BEFORE_CONNECTION", "Socket closed before the connection was established")

export const endedByPeer = (): NodeJS.ErrnoException => coded("EPIPE", "This socket has been ended by the other party")

export const alreadyListening = (): NodeJS.ErrnoException =>
  coded("ERR_SERVER_ALREADY_LISTEN", "Listen method has been called more than once without closing.")

export const notRunning = (): NodeJS.ErrnoException => coded("ERR_SERVER_NOT_RUNNING", "Server is not running.")

/** What cannot be on a stack that has neither files nor descriptors. */
export const unsupported = (what: string): NodeJS.ErrnoException =>
  coded("ERR_INVALID_ARG_VALUE", `strata has no ${what}`, TypeError)
