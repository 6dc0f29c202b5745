/**
 * What a header says, a line per field, and what it says in one line.
 *
 * A dump reads what a trace has copied and believes nothing: octets that do not
 * hold the header are said to be truncated.
 */
import type { TraceDetail } from "../Trace.ts"
import { formatIpv4, formatMac } from "../wire/Address.ts"
import { ArpHeader, ArpOperation } from "../wire/ArpHeader.ts"
import * as Checksum from "../wire/Checksum.ts"
import { EthernetHeader, EtherType } from "../wire/EthernetHeader.ts"
import { IcmpEchoHeader, IcmpHeader, IcmpTimestampHeader, IcmpType, UnreachableCode } from "../wire/IcmpHeader.ts"
import { IgmpHeader, IgmpReportHeader, IgmpType } from "../wire/IgmpHeader.ts"
import { Ipv4Header, Protocol } from "../wire/Ipv4Header.ts"
import { TcpHeader } from "../wire/TcpHeader.ts"
import { UdpHeader } from "../wire/UdpHeader.ts"
import { type Field, hex } from "./Fields.ts"
import { arpOperationName, etherTypeName, icmpTypeName, igmpTypeName, protocolName } from "./Names.ts"

export type PacketDetail = Extract<TraceDetail, { readonly _tag: "Packet" }>

/** A packet as the log shows it. */
export interface Dump {
  /** The name of the place, such as `arp.input`. */
  readonly stage: string
  readonly text: string
  readonly fields: ReadonlyArray<Field>
  /** What is behind the header and shown by no other layer. */
  readonly payload: Uint8Array
}

export const dump = (detail: PacketDetail): Dump => {
  const { bytes, layer } = detail
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const stage = `${layer}.${detail.direction === "in" ? "input" : "output"}`
  return bytes.length < sizes[layer]
    ? { stage, text: `truncated, len=${bytes.length}`, fields: [], payload: bytes }
    : { stage, ...dumps[layer](detail, view) }
}

type Describe = (detail: PacketDetail, view: DataView) => Omit<Dump, "stage"> & { readonly stage?: string }

const NOTHING = new Uint8Array(0)

const where = ({ device }: PacketDetail): string => device === undefined ? "" : `dev=${device}, `

const onInterface = (address: number | undefined): string =>
  address === undefined ? "" : `, iface=${formatIpv4(address)}`

/** The two ends, with their ports where there are any. */
const ends = ({ network }: PacketDetail, ports?: readonly [number, number]): string => {
  if (network === undefined) return ports === undefined ? "" : `${ports[0]} => ${ports[1]}, `
  const [from, to] = ports === undefined ? ["", ""] : ports.map((port) => `:${port}`)
  return `${formatIpv4(network.source)}${from} => ${formatIpv4(network.destination)}${to}, `
}

/** What the checksum field at `at` should hold. */
const expected = (bytes: Uint8Array, at: number, end = bytes.length): number =>
  Checksum.finish(Checksum.add(Checksum.add(0, bytes, 0, at), bytes, at + 2, end))

const ethernet: Describe = (detail, view) => {
  const { bytes } = detail
  const etherType = EthernetHeader.get.etherType(view, 0)
  const name = etherTypeName(etherType)
  return {
    text: `${where(detail)}type=${name}(${hex(etherType, 4)}), len=${bytes.length}`,
    fields: [
      ["src", formatMac(EthernetHeader.get.source(view, 0))],
      ["dst", formatMac(EthernetHeader.get.destination(view, 0))],
      ["type", `${hex(etherType, 4)} (${name})`]
    ],
    payload: etherType === EtherType.ipv4 || etherType === EtherType.arp
      ? NOTHING
      : bytes.subarray(EthernetHeader.size)
  }
}

const arp: Describe = (detail, view) => {
  const get = ArpHeader.get
  const operation = get.operation(view, 0)
  const name = arpOperationName(operation)
  const output = operation === ArpOperation.request ? "arp.request" : "arp.reply"
  return {
    stage: detail.direction === "in" ? "arp.input" : output,
    text: `${where(detail)}opcode=${name}(${hex(operation, 4)}), len=${detail.bytes.length}`,
    fields: [
      ["hrd", hex(get.hardwareType(view, 0), 4)],
      ["pro", hex(get.protocolType(view, 0), 4)],
      ["hln", get.hardwareLength(view, 0)],
      ["pln", get.protocolLength(view, 0)],
      ["op", `${hex(operation, 4)} (${name})`],
      ["sha", formatMac(get.senderHardware(view, 0))],
      ["spa", formatIpv4(get.senderProtocol(view, 0))],
      ["tha", formatMac(get.targetHardware(view, 0))],
      ["tpa", formatIpv4(get.targetProtocol(view, 0))]
    ],
    payload: NOTHING
  }
}

/** Protocols whose messages are shown by their own layer. */
const shownAbove: ReadonlySet<number> = new Set(Object.values(Protocol))

const ipv4: Describe = (detail, view) => {
  const { bytes } = detail
  const get = Ipv4Header.get
  const words = get.headerWords(view, 0)
  const header = Math.min(4 * words, bytes.length)
  const total = get.totalLength(view, 0)
  const flags = view.getUint16(6)
  const protocol = get.protocol(view, 0)
  const name = protocolName(protocol)
  const fragment = (flags & 0x3fff) !== 0
  return {
    text: `${where(detail)}${
      detail.interface === undefined ? "" : `iface=${formatIpv4(detail.interface)}, `
    }protocol=${name}(${hex(protocol, 2)}), len=${bytes.length}`,
    fields: [
      ["vhl", `${hex(view.getUint8(0), 2)} [v: ${get.version(view, 0)}, hl: ${words} (${4 * words})]`],
      ["tos", hex(view.getUint8(1), 2)],
      ["total", `${total} (payload: ${Math.max(0, total - 4 * words)})`],
      ["id", get.identification(view, 0)],
      ["offset", `${hex(flags, 4)} [flags=${flags >>> 13}, offset=${flags & 0x1fff}]`],
      ["ttl", get.timeToLive(view, 0)],
      ["protocol", `${protocol} (${name})`],
      ["sum", `${hex(get.checksum(view, 0), 4)} (${hex(expected(bytes, 10, header), 4)})`],
      ["src", formatIpv4(get.source(view, 0))],
      ["dst", formatIpv4(get.destination(view, 0))]
    ],
    payload: fragment || !shownAbove.has(protocol) ? bytes.subarray(header) : NOTHING
  }
}

/** What the four octets behind the checksum mean, and those behind them that belong to the header. */
const icmpBody = (view: DataView, type: number, code: number): ReadonlyArray<Field> => {
  switch (type) {
    case IcmpType.echoRequest:
    case IcmpType.echoReply:
    case IcmpType.informationRequest:
    case IcmpType.informationReply:
    case IcmpType.addressMaskRequest:
    case IcmpType.addressMaskReply:
    case IcmpType.timestampRequest:
    case IcmpType.timestampReply:
      return [
        ["id", IcmpEchoHeader.get.identifier(view, 0)],
        ["seq", IcmpEchoHeader.get.sequence(view, 0)],
        ...icmpTimes(view, type)
      ]
    case IcmpType.redirect:
      return [["gateway", formatIpv4(view.getUint32(4))]]
    case IcmpType.parameterProblem:
      return [["pointer", view.getUint8(4)]]
    case IcmpType.destinationUnreachable:
      return code === UnreachableCode.fragmentationNeeded ? [["mtu", view.getUint16(6)]] : [unused(view)]
    default:
      return [unused(view)]
  }
}

const unused = (view: DataView): Field => ["unused", hex(view.getUint32(4), 8)]

const icmpTimes = (view: DataView, type: number): ReadonlyArray<Field> => {
  const timed = type === IcmpType.timestampRequest || type === IcmpType.timestampReply
  if (!timed || view.byteLength < IcmpTimestampHeader.size) return []
  const get = IcmpTimestampHeader.get
  return [["orig", get.originate(view, 0)], ["recv", get.receive(view, 0)], ["xmit", get.transmit(view, 0)]]
}

const icmp: Describe = (detail, view) => {
  const { bytes } = detail
  const type = IcmpHeader.get.type(view, 0)
  const code = IcmpHeader.get.code(view, 0)
  const name = icmpTypeName(type)
  return {
    text: `${ends(detail)}type=${name}(${type}), len=${bytes.length}${onInterface(detail.interface)}`,
    fields: [
      ["type", `${type} (${name})`],
      ["code", code],
      ["sum", `${hex(IcmpHeader.get.checksum(view, 0), 4)} (${hex(expected(bytes, 2), 4)})`],
      ...icmpBody(view, type, code)
    ],
    payload: bytes.subarray(IcmpHeader.size)
  }
}

const igmp: Describe = (detail, view) => {
  const { bytes } = detail
  const type = IgmpHeader.get.type(view, 0)
  const name = igmpTypeName(type)
  const isReport = type === IgmpType.reportV3
  return {
    text: `${ends(detail)}type=${name}(${hex(type, 2)}), len=${bytes.length}${onInterface(detail.interface)}`,
    fields: [
      ["type", `${hex(type, 2)} (${name})`],
      ["code", IgmpHeader.get.maxResponse(view, 0)],
      ["sum", `${hex(IgmpHeader.get.checksum(view, 0), 4)} (${hex(expected(bytes, 2), 4)})`],
      isReport
        ? ["records", IgmpReportHeader.get.recordCount(view, 0)]
        : ["group", formatIpv4(IgmpHeader.get.group(view, 0))]
    ],
    payload: bytes.subarray(IgmpHeader.size)
  }
}

const udp: Describe = (detail, view) => {
  const { bytes } = detail
  const get = UdpHeader.get
  const source = get.sourcePort(view, 0)
  const destination = get.destinationPort(view, 0)
  return {
    text: `${ends(detail, [source, destination])}len=${bytes.length} (payload=${bytes.length - UdpHeader.size})`,
    fields: [
      ["src", source],
      ["dst", destination],
      ["len", get.length(view, 0)],
      ["sum", hex(get.checksum(view, 0), 4)]
    ],
    payload: bytes.subarray(UdpHeader.size)
  }
}

const FLAGS = "CEUAPRSF"

/** The control bits by their initials; the first two are shown when they are set. */
const formatFlags = (flags: number): string =>
  Array.from(FLAGS, (letter, index) => flags & (0x80 >>> index) ? letter : "-").join("")

const tcp: Describe = (detail, view) => {
  const { bytes } = detail
  const get = TcpHeader.get
  const source = get.sourcePort(view, 0)
  const destination = get.destinationPort(view, 0)
  const header = Math.min(4 * get.headerWords(view, 0), bytes.length)
  const flags = get.flags(view, 0)
  return {
    text: `${ends(detail, [source, destination])}len=${bytes.length} (payload=${bytes.length - header})`,
    fields: [
      ["src", source],
      ["dst", destination],
      ["seq", get.sequence(view, 0)],
      ["ack", get.acknowledgement(view, 0)],
      ["off", `${hex(view.getUint8(12), 2)} (${4 * get.headerWords(view, 0)})`],
      ["flg", `${hex(flags, 2)} (${formatFlags(flags)})`],
      ["wnd", get.window(view, 0)],
      ["sum", hex(get.checksum(view, 0), 4)],
      ["up", get.urgentPointer(view, 0)]
    ],
    payload: bytes.subarray(header)
  }
}

const dumps: Readonly<Record<PacketDetail["layer"], Describe>> = { ethernet, arp, ipv4, icmp, igmp, udp, tcp }

const sizes: Readonly<Record<PacketDetail["layer"], number>> = {
  ethernet: EthernetHeader.size,
  arp: ArpHeader.size,
  ipv4: Ipv4Header.size,
  icmp: IcmpHeader.size,
  igmp: IgmpHeader.size,
  udp: UdpHeader.size,
  tcp: TcpHeader.size
}
