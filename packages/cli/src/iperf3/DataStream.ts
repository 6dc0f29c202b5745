/**
 * One stream of a test, of either protocol, as whoever measures sees it.
 */
import type { TcpInfo } from "@strata/core/tcp/TcpInfo"
import type * as Effect from "effect/Effect"
import type { InetAddressV4 } from "effect/net/NetAddress"
import type { Goal } from "./Goal.ts"
import type { Iperf3Error } from "./Iperf3Error.ts"
import type { Parameters } from "./Parameters.ts"
import type { Tally } from "./Tally.ts"

export interface DataStream {
  /** By which both sides know it: 1, 3, 4, 5, … in the order in which streams are made. */
  readonly id: number
  /** Its number in reports: 5, 7, 9, … */
  readonly socket: number
  /** Whether this side sends. */
  readonly sends: boolean
  readonly local: InetAddressV4
  readonly remote: InetAddressV4
  readonly tally: Tally
  /** Of TCP. */
  readonly info: (() => TcpInfo) | undefined
  /** Sends until it is told to stop, or receives; goes on until it is interrupted. */
  readonly move: Effect.Effect<never, Iperf3Error>
  /** No block is begun any more. One that was begun is sent whole: receivers wait for whole blocks. */
  readonly stop: () => void
  /** Says that no more will come, where the protocol can. */
  readonly close: Effect.Effect<void>
}

/** What streams need to know about their test. */
export interface Plan {
  readonly parameters: Parameters
  readonly goal: Goal
  /** Whether senders stop at the goal: on the side that says when the test ends. */
  readonly stopsAtGoal: boolean
  /** A block of payload, which is sent again and again. */
  readonly block: Uint8Array
}

/** Its number among those of its side, from 0, says how it is known. */
export const named = (index: number) => ({ id: index === 0 ? 1 : index + 2, socket: 5 + 2 * index })

/** Which streams there are, in order, and whether a side sends on them. */
export const roles = ({ direction, parallel }: Parameters, side: "client" | "server"): ReadonlyArray<boolean> => {
  const forth = Array.from({ length: parallel }, () => side === "client")
  const back = Array.from({ length: parallel }, () => side === "server")
  return direction === "forward" ? forth : direction === "reverse" ? back : [...forth, ...back]
}

/** Payload of random octets, or of digits in their order. `u32` draws 32 bits. */
export const makeBlock = ({ length, repeatingPayload }: Parameters, u32: () => number): Uint8Array => {
  const block = new Uint8Array(length)
  if (repeatingPayload) return block.map((_, at) => 0x30 + at % 10)
  const view = new DataView(block.buffer)
  for (let at = 0; at + 4 <= length; at += 4) view.setUint32(at, u32())
  return block
}
