/**
 * The options that every command shares, and their defaults.
 */
import { type AlgorithmName, names } from "@strata/core/tcp/Algorithms"
import type { OffloadOptions } from "@strata/drivers/DeviceOptions"
import * as Flag from "effect/cli/Flag"
import type * as IpInterface from "effect/net/IpInterface"
import type * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Format from "./Format.ts"

/** From nothing to each packet: every level includes those before it. */
const logLevels = ["none", "error", "warning", "info", "debug"] as const
export type LogLevel = typeof logLevels[number]

/** What is to be told on stderr. */
export interface LogOptions {
  readonly logLevel: LogLevel
  /** Whether the bytes of packets are told too. */
  readonly hexdump: boolean
}

/** What a stack is to be made of, and what it is to tell. */
export interface StackOptions extends LogOptions {
  readonly congestion?: AlgorithmName | undefined
}

/** What the user said about the host; what was left out of it takes its default in `Host`. */
export interface HostOptions extends StackOptions {
  readonly device: Option.Option<Format.DeviceName>
  readonly address: Option.Option<IpInterface.Ipv4Interface>
  readonly gateway: Option.Option<NetAddress.Ipv4Address>
  readonly mac: Option.Option<NetAddress.MacAddress>
  readonly offload: Option.Option<boolean | OffloadOptions>
}

export const hostFlags = {
  device: Format.flag("device", Format.device).pipe(
    Flag.withDescription("The network device: tap:tap0, packet:eth0 (AF_PACKET), or none (default: tap:tap0)"),
    Flag.optional
  ),
  address: Format.flag("address", Format.interfaceAddress).pipe(
    Flag.withDescription("The host's address on the device (default: 192.0.2.2/24)"),
    Flag.optional
  ),
  gateway: Format.flag("gateway", Format.address).pipe(
    Flag.withDescription("The default gateway (default: 192.0.2.1, when it is on the device's network)"),
    Flag.optional
  ),
  mac: Format.flag("mac", Format.hardwareAddress).pipe(
    Flag.withDescription(
      "The host's hardware address (default: 00:00:5e:00:53:01 on a TAP, else the device's own)"
    ),
    Flag.optional
  ),
  offload: Format.flag("offload", Format.offload).pipe(
    Flag.withDescription(
      "What the device does beyond moving frames: on, off, or a list of checksum, tcp and udp (segmentation), vnet (by the kernel where it can, else by the driver), and thread (the kernel receives in a thread of its own while frames are many and small) (default: on)"
    ),
    Flag.optional
  ),
  congestion: Format.flag("congestion", Format.oneOf("algorithm", names)).pipe(
    Flag.withDescription(`TCP's congestion control: ${names.join(", ")} (default: cubic)`),
    Flag.optional,
    Flag.map(Option.getOrUndefined)
  ),
  logLevel: Format.flag("log-level", Format.oneOf("level", logLevels)).pipe(
    Flag.withDescription(
      "none, error, warning, info or debug, which shows every packet (default: info for servers, warning for clients, debug for the demo)"
    ),
    Flag.optional
  ),
  hexdump: Flag.Boolean("hexdump").pipe(
    Flag.withDescription("With --log-level debug, dump the bytes of each packet too"),
    Flag.withDefault(false)
  )
}
