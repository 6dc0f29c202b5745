/**
 * One trace event as text: `HH:MM:SS.mmm [L] place: what happened`, and, for a
 * packet, its header with a line per field. L is one of E, W, I and D.
 */
import type { TraceDetail, TraceEvent } from "../Trace.ts"
import { formatInet, formatIpv4, formatMac, netmask } from "../wire/Address.ts"
import { formatFields, hex } from "./Fields.ts"
import { formatHexDump } from "./HexDump.ts"
import { etherTypeName, protocolName } from "./Names.ts"
import { dump } from "./PacketDump.ts"

/** From the rarest to the most frequent. */
export const levels = ["error", "warning", "info", "debug"] as const

/** How important an event is. */
export type Level = typeof levels[number]

/** Ports above are given to whoever asks for any (RFC 6335 §6): nobody waits to hear of them. */
const EPHEMERAL = 49_152

/** How much an event matters to who runs the host. */
export const levelOf = (detail: TraceDetail): Level => {
  switch (detail._tag) {
    case "Message":
      return detail.level
    case "DeviceOpened":
    case "DeviceClosed":
    case "AddressAdded":
    case "AddressRemoved":
    case "RouteAdded":
    case "RouteRemoved":
      return "info"
    case "PortBound":
    case "PortReleased":
      return detail.port < EPHEMERAL ? "info" : "debug"
    default:
      return "debug"
  }
}

/** How events become text. */
export interface FormatOptions {
  /** Whether to print payloads too, as `hexdump -C` does; false by default. Each payload is printed once. */
  readonly hexdump?: boolean | undefined
}

/** One line or more, without a line feed at the end. */
export const formatEvent = (event: TraceEvent, options?: FormatOptions): string => {
  const { detail, time } = event
  const { lines, payload, stage, text } = describe(detail)
  const level = levelOf(detail).charAt(0).toUpperCase()
  const head = `${formatTime(time)} [${level}] ${stage}: ${text}`
  const tail = options?.hexdump === true && payload !== undefined ? formatHexDump(payload) : []
  return [head, ...lines ?? [], ...tail].join("\n")
}

interface Text {
  readonly stage: string
  readonly text: string
  readonly lines?: ReadonlyArray<string>
  readonly payload?: Uint8Array
}

const describe = (detail: TraceDetail): Text => {
  switch (detail._tag) {
    case "Packet": {
      const { fields, payload, stage, text } = dump(detail)
      return { stage, text, lines: formatFields(fields), payload }
    }
    case "Dropped":
      return {
        stage: `${detail.layer}.drop`,
        text: `dropped, reason=${detail.reason}, len=${detail.bytes.length}`,
        payload: detail.bytes
      }
    case "DeviceAttached":
      return { stage: "devices.attach", text: `registered, dev=${detail.device}, type=${detail.type}` }
    case "DeviceDetached":
      return { stage: "devices.detach", text: `removed, dev=${detail.device}, type=${detail.type}` }
    case "DeviceOpened":
      return { stage: "devices.open", text: `dev=${detail.device}, state=up` }
    case "DeviceClosed":
      return { stage: "devices.close", text: `dev=${detail.device}, state=down` }
    case "ProtocolRegistered":
      return { stage: `${detail.layer}.handle`, text: `registered, type=${protocol(detail.layer, detail.number)}` }
    case "AddressAdded":
      return { stage: "routing.addAddress", text: `registered: ${address(detail)}` }
    case "AddressRemoved":
      return { stage: "routing.removeAddress", text: `removed: ${address(detail)}` }
    case "RouteAdded":
      return { stage: "routing.addRoute", text: route(detail) }
    case "RouteRemoved":
      return { stage: "routing.removeRoute", text: route(detail) }
    case "NeighbourInserted":
      return { stage: "arp.insert", text: `INSERT: ${neighbour(detail)}` }
    case "NeighbourUpdated":
      return { stage: "arp.update", text: `UPDATE: ${neighbour(detail)}` }
    case "NeighbourDeleted":
      return { stage: "arp.delete", text: `DELETE: ${neighbour(detail)}` }
    case "QueuePushed":
      return { stage: "queue.push", text: `queue pushed ${queue(detail)}` }
    case "QueuePopped":
      return { stage: "queue.pop", text: `queue popped ${queue(detail)}` }
    case "PortBound":
      return { stage: `${detail.protocol}.bind`, text: `success: ${port(detail)}` }
    case "PortReleased":
      return { stage: `${detail.protocol}.close`, text: `released: ${port(detail)}` }
    case "TcpState": {
      const { from, local, remote, to } = detail
      const ends = `${formatInet(local.address, local.port)} <=> ${formatInet(remote.address, remote.port)}`
      return { stage: "tcp.state", text: `${ends}, ${from} => ${to}` }
    }
    case "Message":
      return { stage: detail.stage, text: detail.text }
  }
}

type Detail<Tag extends TraceDetail["_tag"]> = Extract<TraceDetail, { readonly _tag: Tag }>

const protocol = (layer: "ethernet" | "ipv4", number: number): string =>
  layer === "ethernet" ? `${etherTypeName(number)}(${hex(number, 4)})` : `${protocolName(number)}(${hex(number, 2)})`

const address = (detail: Detail<"AddressAdded" | "AddressRemoved">): string => {
  const mask = netmask(detail.prefixLength)
  const broadcast = (detail.address | ~mask) >>> 0
  return `dev=${detail.device}, unicast=${formatIpv4(detail.address)}, netmask=${formatIpv4(mask)}, broadcast=${
    formatIpv4(broadcast)
  }`
}

const route = (detail: Detail<"RouteAdded" | "RouteRemoved">): string => {
  const network = `network=${formatIpv4(detail.network)}, netmask=${formatIpv4(netmask(detail.prefixLength))}`
  const source = detail.source === undefined ? "" : `iface=${formatIpv4(detail.source)} `
  return `${network}, nexthop=${formatIpv4(detail.gateway)}, ${source}dev=${detail.device}`
}

const neighbour = (detail: Detail<"NeighbourInserted" | "NeighbourUpdated" | "NeighbourDeleted">): string =>
  `pa=${formatIpv4(detail.protocolAddress)}, ha=${
    formatMac(detail.hardwareAddress)
  }, state=${detail.state}, dev=${detail.device}`

const queue = (detail: Detail<"QueuePushed" | "QueuePopped">): string => {
  const device = detail.device === undefined ? "" : `dev=${detail.device}, `
  return `(num:${detail.count}), ${device}queue=${detail.queue}, len=${detail.length}`
}

const port = (detail: Detail<"PortBound" | "PortReleased">): string =>
  `addr=${formatIpv4(detail.address)}, port=${detail.port}`

/** Local time of day. */
const formatTime = (time: number): string => {
  const date = new Date(time)
  const ofDay = [date.getHours(), date.getMinutes(), date.getSeconds()].map((value) => digits(value, 2)).join(":")
  return `${ofDay}.${digits(date.getMilliseconds(), 3)}`
}

const digits = (value: number, count: number): string => value.toString().padStart(count, "0")
