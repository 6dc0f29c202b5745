/**
 * How values are written on the command line.
 *
 * A format knows how to read its text and how to tell a person what it should
 * have been; flags and arguments are made from formats.
 */
import type { OffloadOptions } from "@strata/drivers/DeviceOptions"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as IpInterface from "effect/net/IpInterface"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { parseRate, parseSize } from "./iperf3/Units.ts"

export interface Format<A> {
  /** Stands for the value in the help. */
  readonly metavar: string
  /** Completes the sentence "x is not …". */
  readonly expected: string
  readonly read: (text: string) => Option.Option<A>
}

/** A device as `--device` names it; `none` leaves the host with loopback alone. */
export type DeviceName =
  | { readonly kind: "tap" | "packet"; readonly name: string }
  | { readonly kind: "none" }

const fromResult = <A>(result: Result.Result<A, unknown>): Option.Option<A> => Result.getSuccess(result)

const integer = (metavar: string, expected: string, least: number, most: number): Format<number> => ({
  metavar,
  expected,
  read: (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1
    return value >= least && value <= most ? Option.some(value) : Option.none()
  }
})

export const address: Format<NetAddress.Ipv4Address> = {
  metavar: "address",
  expected: "an IPv4 address, such as 192.0.2.2",
  read: (text) => fromResult(NetAddress.ipv4FromString(text))
}

export const interfaceAddress: Format<IpInterface.Ipv4Interface> = {
  metavar: "address/prefix",
  expected: "an IPv4 address with its prefix length, such as 192.0.2.2/24",
  read: (text) => fromResult(IpInterface.ipv4FromString(text, { prefix: "required" }))
}

/** The address of one station: not all zeros, not broadcast, not a group. */
export const hardwareAddress: Format<NetAddress.MacAddress> = {
  metavar: "mac",
  expected: "the hardware address of a station, such as 00:00:5e:00:53:01",
  read: (text) =>
    Option.filter(
      fromResult(NetAddress.macAddressFromString(text)),
      (mac) => NetAddress.isMacUnicast(mac) && NetAddress.macAddressToOctets(mac).some((octet) => octet !== 0)
    )
}

export const port = integer("port", "a port from 1 to 65535", 1, 65535)

/** A port, or 0 to leave the service out. */
export const servicePort = integer("port", "a port from 1 to 65535, or 0 for none", 0, 65535)

export const count = integer("count", "a number of requests, at least 1", 1, Number.MAX_SAFE_INTEGER)

/** Octets of an echo request's payload (RFC 791's 65,535 without the IPv4 and ICMP headers). */
export const payloadSize = integer("bytes", "a number of bytes from 0 to 65507", 0, 65507)

export const seconds: Format<number> = {
  metavar: "seconds",
  expected: "a number of seconds from 0 to 3600, such as 0.2",
  read: (text) => {
    const value = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Infinity
    return value <= 3600 ? Option.some(value) : Option.none()
  }
}

/** Bytes or blocks, at least 1. */
export const size: Format<number> = {
  metavar: "count",
  expected: "a count such as 1000, 64K or 10M",
  read: (text) => Option.filter(parseSize(text), (value) => value >= 1 && value <= Number.MAX_SAFE_INTEGER)
}

/** Bits per second, and how many blocks may leave together. */
export const rate: Format<{ readonly rate: number; readonly burst: number }> = {
  metavar: "rate",
  expected: "bits per second such as 100M, 0 for no bound, or a rate and a number of blocks such as 100M/8",
  read: (text) => {
    const [, bits = "", blocks = "0"] = /^([^/]*)(?:\/(\d{1,4}))?$/.exec(text) ?? []
    return Option.map(parseRate(bits), (value) => ({ rate: value, burst: Number(blocks) }))
  }
}

/** Seconds that a throughput test may take. */
export const testTime = integer("seconds", "a number of seconds from 1 to 86400", 1, 86_400)

export const streams = integer("count", "a number of streams from 1 to 128", 1, 128)

export const endpoint: Format<NetAddress.InetAddressV4> = {
  metavar: "host:port",
  expected: "an IPv4 address and a port, such as 192.0.2.1:7",
  read: (text) =>
    fromResult(NetAddress.inetAddressFromString(text)).pipe(
      Option.filter(NetAddress.isInetAddressV4),
      Option.filter(({ port: number }) => number > 0)
    )
}

/** Linux allows 15 octets in the name of an interface (IFNAMSIZ), without white space, slash or colon. */
export const device: Format<DeviceName> = {
  metavar: "kind:name",
  expected: "a device, such as tap:tap0, packet:eth0, or none",
  read: (text) => {
    if (text === "none") return Option.some({ kind: "none" })
    const [, kind, name] = /^(tap|packet):([^\s/:]{1,15})$/.exec(text) ?? []
    return kind === undefined || name === undefined || name === "." || name === ".."
      ? Option.none()
      : Option.some({ kind: kind === "tap" ? "tap" : "packet", name })
  }
}

const CAPABILITIES = ["vnet", "checksum", "tcp", "udp", "thread"] as const

const isCapability = (name: string) => CAPABILITIES.some((known) => known === name)

/** What a device does beyond moving frames: all, nothing, or what is listed. */
export const offload: Format<boolean | OffloadOptions> = {
  metavar: "what",
  expected: `on, off, or some of ${CAPABILITIES.join(",")}`,
  read: (text) => {
    if (text === "on" || text === "off") return Option.some(text === "on")
    const listed = text.split(",")
    if (!listed.every(isCapability)) return Option.none()
    const has = (name: typeof CAPABILITIES[number]) => listed.includes(name)
    return Option.some({
      vnet: has("vnet"),
      checksum: has("checksum"),
      tcp: has("tcp"),
      udp: has("udp"),
      thread: has("thread")
    })
  }
}

/** A place to listen: `[addr] port`. */
export interface Local {
  /** All addresses of the host when none is given. */
  readonly address: NetAddress.Ipv4Address | undefined
  readonly port: number
}

/** Reads the words of `[addr] port`. */
export const local = {
  expected: "[addr] port, such as 7 or 192.0.2.2 7",
  read: (words: ReadonlyArray<string>): Option.Option<Local> => {
    const [first, second] = words
    if (first === undefined) return Option.none()
    if (second === undefined) return Option.map(port.read(first), (only) => ({ address: undefined, port: only }))
    return Option.all({ address: address.read(first), port: port.read(second) })
  }
}

export const oneOf = <A extends string>(metavar: string, words: ReadonlyArray<A>): Format<A> => ({
  metavar,
  expected: `one of ${words.join(", ")}`,
  read: (text) => Option.fromUndefinedOr(words.find((word) => word === text))
})

/** A flag whose value has that format. */
export const flag = <A>(name: string, format: Format<A>): Flag.Flag<A> =>
  Flag.String(name).pipe(
    Flag.withMetavar(`<${format.metavar}>`),
    Flag.filterMap(format.read, () => format.expected)
  )

/** A positional argument whose value has that format. */
export const argument = <A>(name: string, format: Format<A>): Argument.Argument<A> =>
  Argument.String(name).pipe(
    Argument.filterMap(format.read, () => format.expected)
  )
