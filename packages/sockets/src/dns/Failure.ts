/**
 * Why a question got no answer, in the reasons that `DnsError` has.
 */
import type { TcpError, UdpError } from "@strata/core"
import type { YieldableError } from "effect/Cause"
import * as Data from "effect/Data"
import type { DnsErrorReason } from "effect/net/Dns"
import { Rcode } from "./Message.ts"

export interface Failed {
  readonly reason: DnsErrorReason
  /** Whether it was the server that failed: it need not be asked again soon. */
  readonly remembered: boolean
  /** Whether this server is worth another try for the same question. */
  readonly again: boolean
  readonly cause?: unknown
}

// Written down, since the type that is inferred for a class has an `any` in it.
const Base: new(failed: Failed) => YieldableError & Failed & { readonly _tag: "QueryFailure" } = Data.TaggedError(
  "QueryFailure"
)<Failed>

export class QueryFailure extends Base {}

/** No answer in time. */
export const timedOut = new QueryFailure({ reason: "Timeout", remembered: true, again: true })

/** The resolver's scope was closed. */
export const closed = new QueryFailure({ reason: "Unknown", remembered: false, again: false, cause: "closed" })

export const badName = new QueryFailure({ reason: "BadName", remembered: false, again: false })

/** An answer that says nothing useful. */
export const badAnswer = (why: string): QueryFailure =>
  new QueryFailure({ reason: "InvalidResponse", remembered: true, again: false, cause: why })

const reasons: Readonly<Record<number, DnsErrorReason>> = {
  [Rcode.formatError]: "InvalidResponse",
  [Rcode.serverFailure]: "ServerFailure",
  [Rcode.notImplemented]: "Unsupported",
  [Rcode.refused]: "Refused"
}

/** A server that answers with an error is not asked the same thing again. */
export const fromCode = (rcode: number): QueryFailure =>
  new QueryFailure({ reason: reasons[rcode] ?? "Unknown", remembered: true, again: false, cause: `code ${rcode}` })

export const fromUdp = (error: UdpError): QueryFailure => {
  const { reason } = error
  if (reason._tag === "Refused") return failure("Refused", false, error)
  if (reason._tag === "Unreachable") return failure("Refused", reason.kind !== "noRoute", error)
  return failure("Temporary", true, error)
}

export const fromTcp = (error: TcpError): QueryFailure => {
  const { _tag: tag } = error.reason
  if (tag === "ConnectionRefused") return failure("Refused", false, error)
  if (tag === "ConnectionTimedOut") return failure("Timeout", true, error)
  return failure(tag === "Unreachable" ? "Refused" : "Temporary", true, error)
}

const failure = (reason: DnsErrorReason, again: boolean, cause: unknown) =>
  new QueryFailure({ reason, remembered: false, again, cause })
