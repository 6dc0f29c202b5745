import * as Schema from "effect/Schema"

export class AddressInUse extends Schema.TaggedError<AddressInUse>()("AddressInUse", { address: Schema.String }) {
  override get message() {
    return `udp ${this.address} is already in use; choose another port`
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
export class MessageTooLarge
  extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", { length: Schema.Number })
{
  override get message() {
    return `a datagram of ${this.length} bytes does not fit; the most is 65507`
  }
}
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  destination: Schema.String,
  /** As in `DeliveryError`, or `noRoute`. */
  kind: Schema.String
}) {
  override get message() {
    return `${this.destination} is unreachable: ${this.kind}`
  }
}
export class Refused extends Schema.TaggedError<Refused>()("Refused", { destination: Schema.String }) {
  override get message() {
    return `nothing listens on udp ${this.destination}`
  }
}
/** The device is down, or it or the queue in front of it is full; sending again later may help. */
export class NotSent extends Schema.TaggedError<NotSent>()("NotSent", { destination: Schema.String }) {
  override get message() {
    return `the datagram for ${this.destination} was dropped on the way out: the device is down or has no room`
  }
}
export class BroadcastNotPermitted
  extends Schema.TaggedError<BroadcastNotPermitted>()("BroadcastNotPermitted", { destination: Schema.String })
{
  override get message() {
    return `${this.destination} is a broadcast address; open the socket with { broadcast: true }`
  }
}
export class NoDestination extends Schema.TaggedError<NoDestination>()("NoDestination", {}) {
  override readonly message = "the socket is not connected; name a destination with an address and a port other than 0"
}
export class InvalidAddress extends Schema.TaggedError<InvalidAddress>()("InvalidAddress", {
  input: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.input} is not an address that a socket can use: ${this.why}`
  }
}
/** The socket has joined that group on that device, from that source, before. */
export class AlreadyJoined extends Schema.TaggedError<AlreadyJoined>()("AlreadyJoined", { group: Schema.String }) {
  override get message() {
    return `the socket has joined ${this.group} already`
  }
}
/** A join or a block that does not go with what the socket has joined before. */
export class MembershipConflict extends Schema.TaggedError<MembershipConflict>()("MembershipConflict", {
  group: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the membership of ${this.group} cannot be changed like that: ${this.why}`
  }
}
export class SocketClosed extends Schema.TaggedError<SocketClosed>()("SocketClosed", {}) {
  override readonly message = "the socket is closed"
}

/** What can go wrong with a UDP port. */
export class UdpError extends Schema.TaggedError<UdpError>()("UdpError", {
  reason: Schema.Union([
    AddressInUse,
    AddressNotAvailable,
    PortsExhausted,
    MessageTooLarge,
    Unreachable,
    Refused,
    NotSent,
    BroadcastNotPermitted,
    NoDestination,
    InvalidAddress,
    AlreadyJoined,
    MembershipConflict,
    SocketClosed
  ])
}) {
  override get message() {
    return this.reason.message
  }
}
