/**
 * What goes wrong with UDP, in the words of `effect/socket/DatagramSocket`.
 */
import type { UdpError } from "@strata/core"
import {
  DatagramSocketClosedError,
  DatagramSocketError,
  DatagramSocketOpenError,
  DatagramSocketReadError,
  DatagramSocketUnsupportedError,
  DatagramSocketWriteError,
  type IoErrorKind
} from "effect/socket/DatagramSocket"

type Reason = UdpError["reason"]

export const closed = (): DatagramSocketError => new DatagramSocketError({ reason: new DatagramSocketClosedError() })

export const unsupported = (capability: string): DatagramSocketError =>
  new DatagramSocketError({ reason: new DatagramSocketUnsupportedError({ capability, runtime: "strata" }) })

export const openFailed = (
  cause: unknown,
  kind: DatagramSocketOpenError["kind"] = "Unknown"
): DatagramSocketError => new DatagramSocketError({ reason: new DatagramSocketOpenError({ kind, cause }) })

export const openError = (cause: UdpError): DatagramSocketError => openFailed(cause, openKind(cause.reason))

export const writeError = (reason: Reason): DatagramSocketError =>
  reason._tag === "SocketClosed"
    ? closed()
    : new DatagramSocketError({ reason: new DatagramSocketWriteError({ kind: ioKind(reason), cause: reason }) })

export const readError = (reason: Reason): DatagramSocketError =>
  new DatagramSocketError({ reason: new DatagramSocketReadError({ kind: ioKind(reason), cause: reason }) })

const openKind = ({ _tag }: Reason): DatagramSocketOpenError["kind"] => {
  switch (_tag) {
    case "AddressInUse":
    // As the system calls say it.
    case "PortsExhausted":
    case "AlreadyJoined":
      return "AddressInUse"
    case "AddressNotAvailable":
      return "AddressNotAvailable"
    case "BroadcastNotPermitted":
      return "PermissionDenied"
    default:
      return "Unknown"
  }
}

const ioKind = (reason: Reason): IoErrorKind => {
  switch (reason._tag) {
    case "MessageTooLarge":
      return "MessageTooLarge"
    case "Refused":
      return "ConnectionRefused"
    case "BroadcastNotPermitted":
      return "PermissionDenied"
    case "Unreachable":
      return unreachableKind(reason.kind)
    default:
      return "Unknown"
  }
}

/** What ICMP said, as Linux hands it to programs. */
const unreachableKind = (kind: string): IoErrorKind => {
  switch (kind) {
    case "fragmentationNeeded":
      return "MessageTooLarge"
    case "protocolUnreachable":
    case "parameterProblem":
      return "Unknown"
    default:
      return "Unreachable"
  }
}
