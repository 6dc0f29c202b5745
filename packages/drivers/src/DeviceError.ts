/**
 * Why a device could not be opened, or was lost, and what to do about it.
 */
import * as Schema from "effect/Schema"

const elsewhere = "or inside `unshare --user --map-root-user --net`"

/** What is refused and its remedy, by the step at which the system says no. */
const refusals: Record<string, (device: string) => string> = {
  "open /dev/net/tun": () =>
    "no permission to open /dev/net/tun; run as root, or let your user open it (`sudo chmod 666 /dev/net/tun`)",
  "attach TAP": (device) =>
    "no permission to use the TAP; prepare it for your user " +
    `(\`sudo ip tuntap add mode tap user $USER name ${device}\`), or run as root or with CAP_NET_ADMIN, ${elsewhere}`,
  "open packet socket": () => `no permission to open packet sockets; run as root or with CAP_NET_RAW, ${elsewhere}`,
  "enter namespace": () => "no permission to enter the network namespace; run as root or with CAP_SYS_ADMIN",
  "open namespace": () => "no permission to open the network namespace; run as its owner or as root"
}

export class NoPermission extends Schema.TaggedError<NoPermission>()("NoPermission", {
  device: Schema.String,
  /** What was tried, such as `attach TAP`. */
  step: Schema.String
}) {
  override get message() {
    const refusal = refusals[this.step]
    return `${this.device}: ` + (refusal === undefined
      ? `no permission to ${this.step}; run as root or with CAP_NET_ADMIN and CAP_NET_RAW, ${elsewhere}`
      : refusal(this.device))
  }
}

export class NoSuchInterface
  extends Schema.TaggedError<NoSuchInterface>()("NoSuchInterface", { device: Schema.String })
{
  override get message() {
    return `${this.device}: there is no such network interface; \`ip link\` lists those there are`
  }
}

export class DeviceBusy extends Schema.TaggedError<DeviceBusy>()("DeviceBusy", { device: Schema.String }) {
  override get message() {
    return `${this.device}: another program has it open; stop that program or choose another name`
  }
}

export class NoTunDevice extends Schema.TaggedError<NoTunDevice>()("NoTunDevice", { device: Schema.String }) {
  override get message() {
    return `${this.device}: /dev/net/tun is missing; load the tun module (\`modprobe tun\`) or give the container the device`
  }
}

export class AddonNotBuilt extends Schema.TaggedError<AddonNotBuilt>()("AddonNotBuilt", {
  device: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.device}: the native drivers are not built (${this.detail}); install a C++20 compiler, make and ` +
      "python3, then run `npm rebuild`"
  }
}

export class NotLinux extends Schema.TaggedError<NotLinux>()("NotLinux", {
  device: Schema.String,
  platform: Schema.String
}) {
  override get message() {
    return `${this.device}: TAP and packet sockets need Linux, and this is ${this.platform}; use the in-memory devices`
  }
}

export class InvalidName extends Schema.TaggedError<InvalidName>()("InvalidName", {
  device: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${JSON.stringify(this.device)} cannot be opened: ${this.detail}; choose another name`
  }
}

export class NamespaceNotFound extends Schema.TaggedError<NamespaceNotFound>()("NamespaceNotFound", {
  device: Schema.String,
  namespace: Schema.String
}) {
  override get message() {
    return `${this.device}: ${this.namespace} is not a network namespace; \`ip netns list\` names those there are`
  }
}

/** A literal in the options of a device that does not parse, or a number out of bounds. */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  device: Schema.String,
  option: Schema.String,
  value: Schema.String,
  expected: Schema.String
}) {
  override get message() {
    return `${this.device}: the ${this.option} ${this.value} is not ${this.expected}`
  }
}

/** The interface of an open device is gone. */
export class InterfaceRemoved
  extends Schema.TaggedError<InterfaceRemoved>()("InterfaceRemoved", { device: Schema.String })
{
  override get message() {
    return `${this.device}: the interface was removed; make it anew and start again`
  }
}

/** Anything else the operating system refuses. */
export class SystemFailure extends Schema.TaggedError<SystemFailure>()("SystemFailure", {
  device: Schema.String,
  /** What was tried, such as `bind`. */
  step: Schema.String,
  /** The system's words. */
  detail: Schema.String
}) {
  override get message() {
    return `${this.device}: ${this.step} failed: ${this.detail}`
  }
}

/** A device that cannot be opened, or that is gone; the reason says what helps. */
export class DeviceError extends Schema.TaggedError<DeviceError>()("DeviceError", {
  reason: Schema.Union([
    NoPermission,
    NoSuchInterface,
    DeviceBusy,
    NoTunDevice,
    AddonNotBuilt,
    NotLinux,
    InvalidName,
    NamespaceNotFound,
    InvalidOption,
    InterfaceRemoved,
    SystemFailure
  ])
}) {
  override get message() {
    return this.reason.message
  }
}
