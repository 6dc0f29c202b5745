import * as Schema from "effect/Schema"

export class ConnectionRefused
  extends Schema.TaggedError<ConnectionRefused>()("ConnectionRefused", { remote: Schema.String })
{
  override get message() {
    return `${this.remote} refused the connection: nothing listens there`
  }
}
export class ConnectionReset
  extends Schema.TaggedError<ConnectionReset>()("ConnectionReset", { remote: Schema.String })
{
  override get message() {
    return `connection reset by ${this.remote}`
  }
}
export class ConnectionTimedOut
  extends Schema.TaggedError<ConnectionTimedOut>()("ConnectionTimedOut", { remote: Schema.String })
{
  override get message() {
    return `${this.remote} did not answer in time`
  }
}
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { remote: Schema.String }) {
  override get message() {
    return `${this.remote} is unreachable: there is no route, or the last hop could not deliver`
  }
}
export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { address: Schema.String }) {
  override get message() {
    return `tcp ${this.address} is already in use; choose another port`
  }
}
export class AddressNotAvailable
  extends Schema.TaggedError<AddressNotAvailable>()("AddressNotAvailable", { address: Schema.String })
{
  override get message() {
    return `${this.address} is not an address of this stack`
  }
}
export class PortsExhausted extends Schema.TaggedError<PortsExhausted>()("PortsExhausted", {}) {
  override readonly message = "no ephemeral port is free (49152–65535)"
}
/** What was given as an address or a port is none. */
export class InvalidAddress extends Schema.TaggedError<InvalidAddress>()("InvalidAddress", {
  input: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.input} is not an address: ${this.why}`
  }
}
/** The connection, or its sending half, was closed or aborted on this side. */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", {}) {
  override readonly message = "the connection is closed"
}

/** What can go wrong with a connection (RFC 9293 §3.9.1, error returns). */
export class TcpError extends Schema.TaggedError<TcpError>()("TcpError", {
  reason: Schema.Union([
    ConnectionRefused,
    ConnectionReset,
    ConnectionTimedOut,
    Unreachable,
    AddressInUse,
    AddressNotAvailable,
    PortsExhausted,
    InvalidAddress,
    ConnectionClosed
  ])
}) {
  override get message() {
    return this.reason.message
  }
}
