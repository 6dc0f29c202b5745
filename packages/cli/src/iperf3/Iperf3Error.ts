/**
 * Why a test came to nothing.
 */
import * as Schema from "effect/Schema"

/** The server serves somebody else. */
export class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {
  override readonly message = "the server is busy with another test; try again later"
}
/** The other side ended the test in the middle, and said so. */
export class Terminated extends Schema.TaggedError<Terminated>()("Terminated", {
  by: Schema.Literals(["server", "client"])
}) {
  override get message() {
    return `the ${this.by} has terminated`
  }
}
/** The other side went without a word. */
export class Vanished extends Schema.TaggedError<Vanished>()("Vanished", {
  peer: Schema.Literals(["server", "client"]),
  why: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `the ${this.peer} has gone in the middle of the test${this.why === undefined ? "" : `: ${this.why}`}`
  }
}
/** The server could not go on, and said why. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", { why: Schema.String }) {
  override get message() {
    return `the server could not go on: ${this.why}`
  }
}
/** The other side said what is not in the protocol. */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", { what: Schema.String }) {
  override get message() {
    return `the other side sent ${this.what}`
  }
}
/** Test parameters that this side does not serve; `problem` is what the other side is told (`Protocol.Problem`). */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String, problem: Schema.Int }) {
  override get message() {
    return this.why
  }
}
/** The other side did not do in time what it should. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", { what: Schema.String }) {
  override get message() {
    return `${this.what} took too long`
  }
}
/** The stack could not do what the test needs. */
export class StreamFailed extends Schema.TaggedError<StreamFailed>()("StreamFailed", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}

export class Iperf3Error extends Schema.TaggedError<Iperf3Error>()("Iperf3Error", {
  reason: Schema.Union([Busy, Terminated, Vanished, ServerFailed, Malformed, Refused, TimedOut, StreamFailed])
}) {
  override get message() {
    return this.reason.message
  }
}

export const malformed = (what: string): Iperf3Error => new Iperf3Error({ reason: new Malformed({ what }) })
export const refused = (problem: number, why: string): Iperf3Error =>
  new Iperf3Error({ reason: new Refused({ why, problem }) })
export const timedOut = (what: string): Iperf3Error => new Iperf3Error({ reason: new TimedOut({ what }) })
/** An error of TCP or UDP. */
export const streamFailed = (error: { readonly message: string }): Iperf3Error =>
  new Iperf3Error({ reason: new StreamFailed({ why: error.message }) })
