/**
 * What the wire tells about one transfer: seen at the device of the sender and
 * at that of the receiver, whatever their TCP says of itself. What a device cuts
 * (`Packet.segmentSize`) counts as the segments that it stands for.
 */
import type { Middleware } from "@strata/core/device/Middleware"
import type { Packet } from "@strata/core/device/Packet"
import { EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header, Protocol } from "@strata/core/wire/Ipv4Header"
import { TcpHeader } from "@strata/core/wire/TcpHeader"
import * as Effect from "effect/Effect"

const ethernet = EthernetHeader.get
const ip = Ipv4Header.get
const tcp = TcpHeader.get

/** Text of a segment on its way: its place in the stream, from the first octet that the sender sent. */
export interface Text {
  readonly from: number
  readonly to: number
  /** Octets of each segment of the wire but the last, which may have fewer. */
  readonly size: number
}

export interface MeterOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** How many octets the sender is going to send. */
  readonly octets: number
}

export class Meter {
  /** Segments with text that the sender sent, … */
  segments = 0
  /** … those that had been sent before, whole or in part, … */
  retransmitted = 0
  /** … and those that arrived after all of their octets had. */
  spurious = 0
  /** Packets of data that the path has lost. */
  lost = 0
  /** When the first segment left, and the first one was lost; milliseconds. */
  startedAt: number | undefined
  firstLossAt: number | undefined
  /** Packets that the way of the data has lost or dropped so far; to be set once it is there. */
  losses = (): number => 0

  private readonly options: MeterOptions
  private base: number | undefined
  private highest = 0
  /** Of `losses`, after the last packet. */
  private known = 0
  /** A one for each octet that has arrived. */
  private readonly arrived: Uint8Array

  constructor(options: MeterOptions) {
    this.options = options
    this.arrived = new Uint8Array(options.octets)
  }

  /** Goes around the device of the sender. */
  readonly sender: Middleware = (device) =>
    Effect.succeed({
      device: {
        ...device,
        transmit: (packet) => {
          const text = this.textOf(packet)
          if (text !== undefined) this.sent(text)
          const taken = device.transmit(packet)
          const losses = this.losses()
          if (text !== undefined && losses > this.known) this.wereLost(losses - this.known)
          this.known = losses
          return taken
        }
      },
      attached: (attachment) => attachment
    })

  /** Goes around the device of the receiver. */
  readonly receiver: Middleware = (device) =>
    Effect.succeed({
      device,
      attached: (attachment) => ({
        ...attachment,
        input: (packet) => {
          const text = this.textOf(packet)
          if (text !== undefined) this.received(text)
          attachment.input(packet)
        }
      })
    })

  private sent({ from, size, to }: Text): void {
    this.startedAt ??= this.options.now()
    for (let at = from; at < to; at += size) {
      this.segments++
      if (at < this.highest) this.retransmitted++
    }
    this.highest = Math.max(this.highest, to)
  }

  private wereLost(count: number): void {
    this.lost += count
    this.firstLossAt ??= this.options.now()
  }

  private received({ from, size, to }: Text): void {
    for (let at = from; at < to; at += size) this.arrives(at, Math.min(at + size, to))
  }

  private arrives(from: number, to: number): void {
    const missing = this.arrived.indexOf(0, from)
    if (missing < 0 || missing >= to) {
      this.spurious++
      return
    }
    this.arrived.fill(1, from, to)
  }

  /** Undefined for what is no TCP or has no text. */
  private textOf({ segmentSize, start, view }: Packet): Text | undefined {
    if (ethernet.etherType(view, start) !== EtherType.ipv4) return undefined
    const network = start + EthernetHeader.size
    if (ip.protocol(view, network) !== Protocol.tcp) return undefined
    const transport = network + 4 * ip.headerWords(view, network)
    const text = transport + 4 * tcp.headerWords(view, transport)
    // The frame may be padded.
    const octets = network + ip.totalLength(view, network) - text
    if (octets <= 0) return undefined
    const sequence = tcp.sequence(view, transport)
    this.base ??= sequence
    const from = (sequence - this.base) | 0
    return { from, to: from + octets, size: segmentSize === 0 ? octets : segmentSize }
  }
}
