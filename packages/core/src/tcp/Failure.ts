/**
 * Why a connection is closed, as an error for its program.
 */
import * as Address from "../wire/Address.ts"
import type { ControlBlock } from "./ControlBlock.ts"
import {
  ConnectionClosed,
  ConnectionRefused,
  ConnectionReset,
  ConnectionTimedOut,
  TcpError,
  Unreachable
} from "./TcpError.ts"

export const closedHere = (): TcpError => new TcpError({ reason: new ConnectionClosed({}) })

/** Why a CLOSED connection is closed. */
export const failureOf = ({ endpoints, reason, softError }: ControlBlock): TcpError => {
  const remote = `${Address.formatIpv4(endpoints.remoteAddress)}:${endpoints.remotePort}`
  switch (reason) {
    case "refused":
      return new TcpError({ reason: new ConnectionRefused({ remote }) })
    case "reset":
      return new TcpError({ reason: new ConnectionReset({ remote }) })
    case "unreachable":
      return new TcpError({ reason: new Unreachable({ remote }) })
    case "timedOut":
      return new TcpError({
        reason: softError ? new Unreachable({ remote }) : new ConnectionTimedOut({ remote })
      })
    default:
      return closedHere()
  }
}
