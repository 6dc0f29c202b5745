/**
 * Scripts about losses: a sender of full segments of 1,000 octets that are called by their index, 0 and so on.
 *
 *     sender().writes(10).sends(..."0123456789")
 *       .acks(1, [2, 4]).sends(10)
 *
 * Sequence numbers pass 2^32 in the middle of segment 4, so every script is about that as well. The peer's window is large; the
 * round-trip time of the handshake is 100 ms unless it is said otherwise, and with it the retransmission timeout is 300 ms.
 */
import { assert } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock, State } from "@strata/core/tcp/ControlBlock"
import type { TcpSettings } from "@strata/core/tcp/TcpSettings"
import { listening, type TcpScript } from "./tcpScript.ts"

/** Octets of text of a full segment. */
export const MSS = 1000
/** Octets of the timestamps option, which the MSS of the RFCs does not count. */
const TIMESTAMPS = 12
/** So that segment 4 is sent across the end of the sequence space. */
const FIRST = 2 ** 32 - 4500
const PEERS = 301

/** The first octet of the segment with that index. */
export const at = (index: number): number => (FIRST + Math.round(index * MSS)) % 2 ** 32

export interface SenderOptions {
  /** Of the handshake, in milliseconds; 0 for none that could be measured. */
  readonly roundTrip?: number
  readonly sack?: boolean
  readonly timestamps?: boolean
  readonly ecn?: boolean
  /** Octets. */
  readonly peerWindow?: number
  /** Segments. */
  readonly congestionWindow?: number
  readonly congestion?: CongestionAlgorithm
  readonly settings?: Partial<TcpSettings>
}

export interface AcknowledgementOptions {
  readonly wnd?: number
  /** The time of the segment that is answered; needed where there are timestamps. */
  readonly echo?: number
  /** More control bits. */
  readonly flags?: string
  /** Octets of text that come with it. */
  readonly data?: number
}

/** From the first up to but not including the second index. */
export type Block = readonly [number, number]

export class LossScript {
  readonly script: TcpScript
  private readonly timestamps: boolean
  private readonly peerWindow: number
  private peers = PEERS

  constructor(options: SenderOptions) {
    const { congestion, congestionWindow, ecn, peerWindow = 60_000, roundTrip = 100, sack = true } = options
    const { timestamps = false } = options
    const settings: Partial<TcpSettings> = {
      selectiveAcknowledgement: sack,
      timestamps,
      explicitCongestionNotification: ecn === true ? "passive" : "off",
      ...options.settings
    }
    this.timestamps = timestamps
    this.peerWindow = peerWindow
    const script = listening({
      iss: (FIRST - 1) % 2 ** 32,
      settings,
      ...(congestion === undefined ? {} : { congestion })
    })
    const stamp = (echo: number) => timestamps ? `<TS=${script.now}/${echo}>` : ""
    const peerMss = MSS + (timestamps ? TIMESTAMPS : 0)
    const bits = ecn === true ? "SYN,ECE,CWR" : "SYN"
    script.receives(
      `<SEQ=${PEERS - 1}><WND=${peerWindow}><MSS=${peerMss}>${sack ? "<SACKOK=1>" : ""}${stamp(0)}<CTL=${bits}>`
    )
    script.passed()
    script.passes(roundTrip)
    script.receives(`<SEQ=${PEERS}><ACK=${at(0)}><WND=${peerWindow}>${stamp(0)}<CTL=ACK>`).is("ESTABLISHED")
    if (congestionWindow !== undefined) {
      script.meets(`a window of ${congestionWindow} segments`, (tcb) => ({
        ...tcb,
        congestion: { ...tcb.congestion, window: congestionWindow * MSS }
      }))
    }
    this.script = script
  }

  get tcb(): ControlBlock {
    return this.script.tcb
  }

  get now(): number {
    return this.script.now
  }

  /** The program writes so many segments' worth. */
  writes(segments: number): this {
    this.script.writes(Math.round(segments * MSS))
    return this
  }

  /** The peer acknowledges everything before segment `una`, and the blocks. */
  acks(una: number, ...more: ReadonlyArray<Block | AcknowledgementOptions>): this {
    const blocks = more.filter((item): item is Block => Array.isArray(item))
    const options: AcknowledgementOptions = Object.assign({}, ...more.filter((item) => !Array.isArray(item)))
    const { data = 0, echo, flags, wnd = this.peerWindow } = options
    const sack = blocks.map(([left, right]) => `${at(left)}-${at(right)}`).join(",")
    this.script.receives(
      `<SEQ=${this.peers}><ACK=${at(una)}><WND=${wnd}>` + (data > 0 ? `<DATA=${data}>` : "") +
        (sack === "" ? "" : `<SACK=${sack}>`) +
        (this.timestamps ? `<TS=${this.now}/${echo ?? 0}>` : "") + `<CTL=ACK${flags === undefined ? "" : `,${flags}`}>`
    )
    this.peers += data
    return this
  }

  /** Exactly these full segments were sent, in this order. */
  sends(...indices: ReadonlyArray<number | string>): this {
    return this.sendsParts(...indices.map((index): Block => [Number(index), Number(index) + 1]))
  }

  /** Segments with other borders. */
  sendsParts(...parts: ReadonlyArray<Block>): this {
    for (const [left, right] of parts) {
      const length = Math.round((right - left) * MSS)
      this.script.sends(`<SEQ=${at(left)}><ACK=${this.tcb.rcv.nxt}><DATA=${length}><CTL=ACK>`)
    }
    this.script.sendsNothing()
    return this
  }

  sendsNothing(): this {
    this.script.sendsNothing()
    return this
  }

  /** Takes out the segments that the last event caused, by where they begin. */
  taken(): ReadonlyArray<number> {
    return this.script.taken().map(({ seq }) => ((seq - at(0)) | 0) / MSS)
  }

  /** Whatever was sent, it is not what the script is about. */
  whatever(): this {
    this.script.passed()
    return this
  }

  passes(milliseconds: number): this {
    this.script.passes(milliseconds)
    return this
  }

  closes(): this {
    this.script.closes()
    return this
  }

  is(state: State): this {
    this.script.is(state)
    return this
  }

  meets(what: string, change: (tcb: ControlBlock, now: number) => ControlBlock): this {
    this.script.meets(what, change)
    return this
  }

  looks(look: (tcb: ControlBlock) => void): this {
    this.script.looks(look)
    return this
  }

  /** The phase, and the windows in segments. */
  stands(phase: ControlBlock["recovery"]["phase"], window?: number, threshold?: number): this {
    const { congestion, recovery } = this.tcb
    assert.strictEqual(recovery.phase, phase)
    if (window !== undefined) assert.strictEqual(congestion.window / MSS, window, "window")
    if (threshold !== undefined) assert.strictEqual(congestion.slowStartThreshold / MSS, threshold, "threshold")
    return this
  }

  /** How often things happened. */
  counts(expected: Partial<ControlBlock["counts"]>): this {
    assert.deepInclude(this.tcb.counts, expected)
    return this
  }

  /** Segments on their way, lost, and selectively acknowledged. */
  has(expected: { readonly inFlight?: number; readonly lost?: number; readonly sacked?: number }): this {
    const { lost, nxt, sacked, una } = this.tcb.transmissions
    const actual = { inFlight: (((nxt - una) | 0) - sacked - lost) / MSS, lost: lost / MSS, sacked: sacked / MSS }
    assert.deepInclude(actual, expected)
    return this
  }
}

/** ESTABLISHED by a passive OPEN. */
export const sender = (options: SenderOptions = {}): LossScript => new LossScript(options)
