/**
 * What goes wrong with a datagram socket, in the words of `node:dgram`.
 */
import type { UdpError } from "@strata/core"
import { inspect } from "node:util"
import { coded, errnoOf, received, textOf } from "./NodeErrors.ts"

/** The code of why UDP has refused something. */
export const codeOf = (reason: UdpError["reason"]): string => {
  switch (reason._tag) {
    case "AddressInUse":
    case "PortsExhausted":
    case "AlreadyJoined":
      return "EADDRINUSE"
    case "AddressNotAvailable":
      return "EADDRNOTAVAIL"
    case "MessageTooLarge":
      return "EMSGSIZE"
    case "Unreachable":
      return unreachable(reason.kind)
    case "Refused":
      return "ECONNREFUSED"
    case "NotSent":
      return "ENOBUFS"
    case "BroadcastNotPermitted":
      return "EACCES"
    case "NoDestination":
      return "EDESTADDRREQ"
    case "InvalidAddress":
    case "MembershipConflict":
      return "EINVAL"
    case "SocketClosed":
      return "EBADF"
  }
}

/** What ICMP said, as Linux hands it to programs. */
const unreachable = (kind: string): string => {
  switch (kind) {
    case "noRoute":
    case "networkUnreachable":
      return "ENETUNREACH"
    case "protocolUnreachable":
      return "ENOPROTOOPT"
    case "fragmentationNeeded":
      return "EMSGSIZE"
    case "parameterProblem":
      return "EPROTO"
    default:
      return "EHOSTUNREACH"
  }
}

/** A failed call that was about an endpoint: `send EMSGSIZE 192.0.2.1:53`. */
export const endpointError = (
  syscall: string,
  code: string,
  address: string | undefined,
  port: number | undefined
): NodeJS.ErrnoException => {
  const endpoint = address === undefined ? "" : port ? ` ${address}:${port}` : ` ${address}`
  return Object.assign(new Error(`${syscall} ${code}${endpoint}`), {
    errno: errnoOf(code),
    code,
    syscall,
    address,
    ...(port ? { port } : {})
  })
}

export const bufferSizeError = (syscall: string, code: string): NodeJS.ErrnoException =>
  Object.assign(
    coded(
      "ERR_SOCKET_BUFFER_SIZE",
      `Could not get or set buffer size: ${syscall} returned ${code} (${textOf(code)})`
    ),
    { name: "SystemError", errno: errnoOf(code), syscall }
  )

export const wrongValue = (name: string, value: unknown, why: string): NodeJS.ErrnoException =>
  coded(
    "ERR_INVALID_ARG_VALUE",
    `The ${name.includes(".") ? "property" : "argument"} '${name}' ${why}. Received ${inspect(value)}`,
    TypeError
  )

export const badPort = (name: string, value: unknown, zero: boolean): NodeJS.ErrnoException =>
  coded("ERR_SOCKET_BAD_PORT", `${name} should be ${zero ? ">=" : ">"} 0 and < 65536. ${received(value)}.`, RangeError)

export const outOfBounds = (name: string): NodeJS.ErrnoException =>
  coded("ERR_BUFFER_OUT_OF_BOUNDS", `"${name}" is outside of buffer bounds`, RangeError)

export const missing = (name: string): NodeJS.ErrnoException =>
  coded("ERR_MISSING_ARGS", `The "${name}" argument must be specified`, TypeError)

export const badBufferSize = (): NodeJS.ErrnoException =>
  coded("ERR_SOCKET_BAD_BUFFER_SIZE", "Buffer size must be a positive integer", TypeError)

export const badSocketType = (): NodeJS.ErrnoException =>
  coded("ERR_SOCKET_BAD_TYPE", "Bad socket type specified. Valid types are: udp4, udp6", TypeError)

export const alreadyBound = (): NodeJS.ErrnoException => coded("ERR_SOCKET_ALREADY_BOUND", "Socket is already bound")

export const isConnected = (): NodeJS.ErrnoException => coded("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected")

export const notConnected = (): NodeJS.ErrnoException => coded("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected")

export const notRunning = (): NodeJS.ErrnoException => coded("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running")
