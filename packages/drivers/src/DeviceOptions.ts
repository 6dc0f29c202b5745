/**
 * What every driver lets its user choose, read from literals and checked.
 */
import type { AttachedDevice } from "@strata/core/device/Devices"
import { Routing, type RoutingError } from "@strata/core/ip/Routing"
import * as Address from "@strata/core/wire/Address"
import * as Effect from "effect/Effect"
import * as IpInterface from "effect/net/IpInterface"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { DeviceError, InvalidOption } from "./DeviceError.ts"

/** The address that a device gets. */
export interface AddressOptions {
  /** Address and prefix length, such as `"192.0.2.2/24"`; none by default. */
  readonly address?: IpInterface.Ipv4InterfaceInput | undefined
  /** The default gateway, on the network of `address`. */
  readonly gateway?: NetAddress.Ipv4AddressInput | undefined
}

/** Of a device on an Ethernet. */
export interface EthernetOptions extends AddressOptions {
  /** The stack's own hardware address, unicast, such as `"00:00:5e:00:53:01"`. */
  readonly mac?: NetAddress.MacAddressInput | undefined
  /** The largest payload of a frame in octets, 68 to 65,535. */
  readonly mtu?: number | undefined
}

/** What a native device does beyond moving frames; all of it by default. */
export interface OffloadOptions {
  /** Whether the kernel may do it. What it does not do, the driver does itself. */
  readonly vnet?: boolean | undefined
  /** Computes and verifies the checksums of TCP and UDP. Without it there is none of the others but `thread`. */
  readonly checksum?: boolean | undefined
  /** Cuts large TCP segments on the way out, and joins small ones on the way in. */
  readonly tcp?: boolean | undefined
  /** The same for UDP datagrams, where the kernel can. */
  readonly udp?: boolean | undefined
  /** Has the kernel receive what is sent in a thread of its own, while that is many small frames; TAP devices only. */
  readonly thread?: boolean | undefined
}

/** Of a device of the kernel's. */
export interface NativeOptions extends EthernetOptions {
  /** Where the interface is: a name as `ip netns` knows it, or a path; by default the namespace of the process. */
  readonly namespace?: string | undefined
  /** `true`, the default, for all, `false` for a device that only moves frames of its MTU. */
  readonly offload?: boolean | OffloadOptions | undefined
}

/** The same, parsed. */
export interface Addresses {
  readonly address: IpInterface.Ipv4Interface | undefined
  readonly gateway: NetAddress.Ipv4Address | undefined
}

/** The smallest MTU an IPv4 host may have (RFC 791 §3.2). */
const MINIMUM_MTU = 68
const MAXIMUM_MTU = 65_535

const refuse = (device: string, option: string, value: unknown, expected: string) =>
  Effect.fail(new DeviceError({ reason: new InvalidOption({ device, option, value: String(value), expected }) }))

const parse = <Input, A, E>(
  device: string,
  option: string,
  input: Input | undefined,
  expected: string,
  parser: (input: Input) => Result.Result<A, E>
): Effect.Effect<A | undefined, DeviceError> => {
  if (input === undefined) return Effect.undefined
  const result = parser(input)
  return Result.isSuccess(result) ? Effect.succeed(result.success) : refuse(device, option, input, expected)
}

/** Fails with `InvalidOption`. */
export const parseAddresses = Effect.fnUntraced(function*(
  device: string,
  options: AddressOptions
): Effect.fn.Return<Addresses, DeviceError> {
  const addresses: Addresses = {
    address: yield* parse(
      device,
      "address",
      options.address,
      "an IPv4 address with a prefix length, such as 192.0.2.2/24",
      (input: IpInterface.Ipv4InterfaceInput) => IpInterface.ipv4FromInput(input, { prefix: "required" })
    ),
    gateway: yield* parse(
      device,
      "gateway",
      options.gateway,
      "an IPv4 address, such as 192.0.2.1",
      NetAddress.ipv4FromInput
    )
  }
  return addresses
})

/** The hardware address as an unsigned 48-bit integer, or undefined when there is none; fails with `InvalidOption`. */
export const parseMac = Effect.fnUntraced(function*(
  device: string,
  mac: NetAddress.MacAddressInput | undefined
): Effect.fn.Return<number | undefined, DeviceError> {
  const expected = "the hardware address of one station, such as 00:00:5e:00:53:01"
  const address = yield* parse(device, "mac", mac, expected, NetAddress.macAddressFromInput)
  if (address === undefined) return undefined
  const raw = Address.fromMac(address)
  return raw !== 0 && NetAddress.isMacUnicast(address) ? raw : yield* refuse(device, "mac", mac, expected)
})

/** Fails with `InvalidOption`. */
export const parseMtu = (device: string, mtu: number | undefined): Effect.Effect<number | undefined, DeviceError> =>
  mtu === undefined || (Number.isInteger(mtu) && mtu >= MINIMUM_MTU && mtu <= MAXIMUM_MTU)
    ? Effect.succeed(mtu)
    : refuse(device, "mtu", mtu, `a whole number from ${MINIMUM_MTU} to ${MAXIMUM_MTU}`)

/** The options in force: where there are no checksums there is nothing else that looks into frames. */
export const resolveOffload = (
  options: NativeOptions["offload"] = true
): { readonly [K in keyof OffloadOptions]-?: boolean } => {
  const { checksum = true, tcp = true, thread = true, udp = true, vnet = true } = options === true
    ? {}
    : options === false
    ? { checksum: false, thread: false }
    : options
  return { vnet: checksum && vnet, checksum, tcp: checksum && tcp, udp: checksum && udp, thread }
}

/** Gives a device its address and the stack its gateway; both go with the device. */
export const configure: (
  device: AttachedDevice,
  addresses: Addresses
) => Effect.Effect<void, RoutingError, Routing> = Effect.fnUntraced(function*(device, addresses) {
  const routing = yield* Routing
  if (addresses.address !== undefined) yield* routing.addAddress(device.name, addresses.address)
  if (addresses.gateway !== undefined) yield* routing.setDefaultGateway(addresses.gateway)
})
