/**
 * Who talks to the host in the demo: the kernel, or another host in memory.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { OutputClosed } from "../Output.ts"

/** The exchange did not go as it should. */
export class ExchangeFailed extends Schema.TaggedError<ExchangeFailed>()("ExchangeFailed", {
  what: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the demo failed: ${this.what}: ${this.detail}`
  }
}

export interface Pinged {
  readonly transmitted: number
  readonly received: number
  /** Milliseconds, with a fraction. */
  readonly average: number
}

export interface Peer {
  /** As it starts a sentence: `The kernel`. */
  readonly name: string
  /** What it pings with. */
  readonly command: (count: number) => string
  readonly ping: (
    count: number,
    print: (line: string) => Effect.Effect<void, OutputClosed>
  ) => Effect.Effect<Pinged, ExchangeFailed | OutputClosed>
  /** Connects, sends, half-closes, and gives all that came back before the other side closed. */
  readonly tcp: (bytes: Uint8Array) => Effect.Effect<Uint8Array, ExchangeFailed>
  /** Sends a datagram and gives the one that came back. */
  readonly udp: (payload: Uint8Array) => Effect.Effect<Uint8Array, ExchangeFailed>
}
