/**
 * Echo requests that wait for their reply.
 */
import type { Ipv4Address } from "effect/net/NetAddress"
import * as Schema from "effect/Schema"

/** The answer to an echo request. */
export interface EchoReply {
  /** Who answered. */
  readonly address: Ipv4Address
  /** Octets of ICMP, header included, as `ping` counts them. */
  readonly length: number
  readonly identifier: number
  readonly sequence: number
  readonly timeToLive: number
  /** Milliseconds, with a fraction. */
  readonly roundTrip: number
}

export class PingTimedOut extends Schema.TaggedError<PingTimedOut>()("PingTimedOut", {}) {
  override readonly message = "no reply in time"
}
export class PingUnreachable extends Schema.TaggedError<PingUnreachable>()("PingUnreachable", {
  kind: Schema.String,
  /** Who said so. */
  reporter: Schema.Ipv4Address
}) {
  override get message() {
    return `${this.kind} (from ${this.reporter})`
  }
}
export class PingNotSent extends Schema.TaggedError<PingNotSent>()("PingNotSent", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}

/** An echo request that got no answer. */
export class PingError extends Schema.TaggedError<PingError>()("PingError", {
  reason: Schema.Union([PingTimedOut, PingUnreachable, PingNotSent])
}) {
  override get message() {
    return this.reason.message
  }
}

/** One request on its way. */
export interface Request {
  readonly identifier: number
  readonly sequence: number
  /** Unsigned 32-bit. */
  readonly destination: number
  /** Whether the reply may come from any host, as with a broadcast. */
  readonly fromAnybody: boolean
  /** Milliseconds of `Turn.now`. */
  readonly sentAt: number
  readonly succeed: (reply: EchoReply) => void
  readonly fail: (reason: PingError["reason"]) => void
}

/** The requests on their way; several may share identifier and sequence when they went to different hosts. */
export class Requests {
  private readonly byKey = new Map<number, Array<Request>>()

  has(identifier: number, sequence: number): boolean {
    return this.byKey.has(keyOf(identifier, sequence))
  }

  add(request: Request): void {
    const key = keyOf(request.identifier, request.sequence)
    const others = this.byKey.get(key)
    if (others === undefined) this.byKey.set(key, [request])
    else others.push(request)
  }

  remove(request: Request): void {
    const key = keyOf(request.identifier, request.sequence)
    const left = this.byKey.get(key)?.filter((other) => other !== request) ?? []
    if (left.length === 0) this.byKey.delete(key)
    else this.byKey.set(key, left)
  }

  /** The first request that a message from, or about, `address` answers. */
  find(identifier: number, sequence: number, address: number): Request | undefined {
    return this.byKey
      .get(keyOf(identifier, sequence))
      ?.find((request) => request.destination === address || request.fromAnybody)
  }
}

const keyOf = (identifier: number, sequence: number): number => identifier * 0x1_0000 + sequence
