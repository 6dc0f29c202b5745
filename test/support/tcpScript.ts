/**
 * Segment scripts: what arrives at a TCP and what it answers, in the notation of RFC 9293's figures.
 *
 *     listening({ iss: 300 })
 *       .receives("<SEQ=100><CTL=SYN>").is("SYN-RECEIVED")
 *       .sends("<SEQ=300><ACK=101><CTL=SYN,ACK>")
 *       .receives("<SEQ=101><ACK=301><CTL=ACK>").is("ESTABLISHED")
 *
 * After every event the machine's output is collected; every segment of it must be expected by `sends` before the next
 * event and before the test ends. `<DATA=n>` is n octets of text. Options are `<MSS=1460>`, `<WS=7>`, `<SACKOK=1>`, `<SACK=201-301,401-501>` and `<TS=value/echo>`; `<CE=1>` means that a router has marked the packet, `<ECT=1>` that one may. `<SIZE=n>` is how long the segments are that it stands for.
 * WND, MSS, WS, SACKOK, TS, ECT, SIZE, UP and PSH are compared when the expectation names them, SACK always. Time stands still except in `passes`. The peer's window is 65,535 octets and its MSS 1,460 unless it says otherwise.
 */
import { assert, onTestFinished } from "@effect/vitest"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import type { ControlBlock, State } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { NO_OPTIONS, type Segment, type SegmentOptions, TcpFlag } from "@strata/core/tcp/Segment"
import { type Emission, type OpenParameters, type Outcome, rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings, type TcpSettings } from "@strata/core/tcp/TcpSettings"
import { machine } from "./shadow.ts"

export interface ScriptOptions {
  readonly iss?: number
  readonly mss?: number
  /** Octets of the receive buffer, and up to which it grows; not at all by default. */
  readonly capacity?: number
  readonly maximum?: number
  /** Octets of text that the device cuts into segments; it cuts none by default. */
  readonly limit?: number
  readonly settings?: Partial<TcpSettings>
  readonly congestion?: CongestionAlgorithm
}

/** A TCP that offers no option but the MSS, and does not search for it, so that a script has only what it is about; `settings` turns more on. */
export const plain = {
  windowScaling: false,
  timestamps: false,
  selectiveAcknowledgement: false,
  quickAcknowledgements: 0,
  explicitCongestionNotification: "off",
  pathMtuProbing: false
} as const

/** No silly windows, no delays and no slow start beyond what a script is about. */
const parameters = (options: ScriptOptions): OpenParameters => ({
  endpoints: { localAddress: 0xc0000201, localPort: 49_152, remoteAddress: 0xc0000202, remotePort: 7 },
  iss: options.iss ?? 100,
  receiveMaximumSegmentSize: options.mss ?? 1460,
  receiveCapacity: options.capacity ?? 65_535,
  receiveMaximum: options.maximum,
  congestion: options.congestion ?? Reno,
  settings: { ...defaultSettings, ...plain, ...options.settings },
  timestampOffset: 0
})

const FLAGS = [
  ["SYN", TcpFlag.syn],
  ["FIN", TcpFlag.fin],
  ["RST", TcpFlag.rst],
  ["PSH", TcpFlag.psh],
  ["URG", TcpFlag.urg],
  ["ACK", TcpFlag.ack],
  ["ECE", TcpFlag.ece],
  ["CWR", TcpFlag.cwr]
] as const

type Fields = Readonly<Record<string, string>>

const fieldsOf = (text: string): Fields =>
  Object.fromEntries([...text.matchAll(/<([A-Z]+)=([^>]*)>/g)].map((match) => [match[1]!, match[2]!]))

/** The segment that a figure's notation stands for. */
export const segment = (text: string): Segment => {
  const fields = fieldsOf(text)
  const names = (fields["CTL"] ?? "").split(",")
  return {
    seq: Number(fields["SEQ"] ?? 0) >>> 0,
    ack: Number(fields["ACK"] ?? 0) >>> 0,
    flags: FLAGS.reduce((flags, [name, bit]) => names.includes(name) ? flags | bit : flags, 0),
    wnd: Number(fields["WND"] ?? 65_535),
    up: Number(fields["UP"] ?? 0),
    length: Number(fields["DATA"] ?? 0),
    segmentSize: Number(fields["SIZE"] ?? 0),
    options: optionsOf(fields, names.includes("SYN")),
    congestionExperienced: fields["CE"] !== undefined
  }
}

const optionsOf = (fields: Fields, isSyn: boolean): SegmentOptions => {
  const { MSS, SACK, SACKOK, TS, WS } = fields
  const mss = MSS === undefined ? (isSyn ? 1460 : undefined) : MSS === "none" ? undefined : Number(MSS)
  const [value, echoReply] = (TS ?? "").split("/").map(Number)
  const options: SegmentOptions = {
    ...(mss === undefined ? {} : { maximumSegmentSize: mss }),
    ...(WS === undefined || WS === "none" ? {} : { windowScale: Number(WS) }),
    ...(SACKOK === undefined || SACKOK === "0" ? {} : { sackPermitted: true }),
    ...(SACK === undefined ? {} : { sack: SACK.split(",").map(block) }),
    ...(TS === undefined || TS === "none" ? {} : { timestamps: { value: value!, echoReply: echoReply ?? 0 } })
  }
  return Object.keys(options).length === 0 ? NO_OPTIONS : options
}

const block = (text: string) => {
  const [left, right] = text.split("-").map(Number)
  return { left: left!, right: right! }
}

const formatBlocks = (blocks: SegmentOptions["sack"]): string | undefined =>
  blocks?.map(({ left, right }) => `${left}-${right}`).join(",")

const formatStamps = ({ timestamps }: SegmentOptions): string =>
  timestamps === undefined ? "none" : `${timestamps.value}/${timestamps.echoReply}`

/** A segment in a figure's notation, with the optional fields that `like` has. */
export const format = (sent: Omit<Emission, "textOffset">, like: string): string => {
  const wanted = fieldsOf(like)
  const isFlagShown = (name: string) => name !== "PSH" || (wanted["CTL"] ?? "").includes("PSH")
  const fields: Array<readonly [string, string | number | undefined]> = [
    ["SEQ", sent.seq],
    ["ACK", (sent.flags & TcpFlag.ack) !== 0 ? sent.ack : undefined],
    ["DATA", sent.length > 0 ? sent.length : undefined],
    ["WND", wanted["WND"] === undefined ? undefined : sent.wnd],
    ["MSS", wanted["MSS"] === undefined ? undefined : sent.options.maximumSegmentSize ?? "none"],
    ["WS", wanted["WS"] === undefined ? undefined : sent.options.windowScale ?? "none"],
    ["SACKOK", wanted["SACKOK"] === undefined ? undefined : Number(sent.options.sackPermitted ?? false)],
    ["SACK", formatBlocks(sent.options.sack)],
    ["TS", wanted["TS"] === undefined ? undefined : formatStamps(sent.options)],
    ["ECT", wanted["ECT"] === undefined ? undefined : Number(sent.congestionCapable ?? false)],
    ["SIZE", wanted["SIZE"] === undefined ? undefined : sent.segmentSize ?? 0],
    ["UP", wanted["UP"] === undefined ? undefined : sent.up],
    [
      "CTL",
      FLAGS.filter(([name, bit]) => (sent.flags & bit) !== 0 && isFlagShown(name)).map(([name]) => name).join(",")
    ]
  ]
  return fields.filter(([, value]) => value !== undefined).map(([name, value]) => `<${name}=${value}>`).join("")
}

const normal = (text: string): string => {
  const fields = fieldsOf(text)
  return format({ ...segment(text), options: optionsOf(fields, false), congestionCapable: fields["ECT"] === "1" }, text)
}

/** One TCP, and the story of what happened to it. */
export class TcpScript {
  tcb: ControlBlock
  now = 0
  /** Octets in the send buffer from SND.UNA on. */
  queued = 0
  /** The outcome of the last arrival or abort. */
  outcome: Outcome | undefined
  private sent: Array<Emission> = []
  private readonly story: Array<string> = []

  private readonly limit: number | undefined

  constructor(tcb: ControlBlock, limit?: number) {
    this.tcb = tcb
    this.limit = limit
    this.output()
    onTestFinished(() => void this.sendsNothing())
  }

  /** A segment arrives. */
  receives(...texts: ReadonlyArray<string>): this {
    for (const text of texts) {
      this.begin(`receives ${text}`)
      this.apply(machine.arrives(this.tcb, segment(text), this.now))
    }
    return this
  }

  /** The segments that the last event caused, in order: exactly these. */
  sends(...texts: ReadonlyArray<string>): this {
    for (const text of texts) {
      const next = this.sent.shift()
      const actual = next === undefined ? "nothing" : format(next, text)
      assert.strictEqual(actual, normal(text), this.told(`sends ${text}`))
      this.story.push(`sends ${text}`)
    }
    return this
  }

  sendsNothing(): this {
    const next = this.sent[0]
    assert.strictEqual(next === undefined ? "nothing" : format(next, "<WND=1>"), "nothing", this.told("sends nothing"))
    return this
  }

  /** Takes `count` segments out of what was sent, for scripts that only count them. */
  sendsMany(count: number): this {
    assert.strictEqual(this.sent.length, count, this.told(`sends ${count} segments`))
    this.sent = []
    return this
  }

  /** Lets the segments pass that the last event caused, for scripts that are about something else, and tells how many. */
  passed(): number {
    return this.taken().length
  }

  /** Takes out the segments that the last event caused. */
  taken(): ReadonlyArray<Emission> {
    const { sent } = this
    this.sent = []
    return sent
  }

  is(state: State, reason?: ControlBlock["reason"]): this {
    assert.strictEqual(this.tcb.state, state, this.told(`is ${state}`))
    if (state === "CLOSED") assert.strictEqual(this.tcb.reason, reason, this.told(`is closed: ${reason}`))
    return this
  }

  /** The program writes; at most 1 MiB stays in the buffer. */
  writes(octets: number): this {
    this.begin(`writes ${octets}`)
    this.queued += octets
    return this.output()
  }

  /** The program reads; all that is there by default. */
  reads(octets: number = this.tcb.rcv.unread): this {
    this.begin(`reads ${octets}`)
    this.tcb = machine.consumed(this.tcb, octets, this.now)
    return this.output()
  }

  /** Octets received in order that the program has not read. */
  holds(octets: number): this {
    assert.strictEqual(this.tcb.rcv.unread, octets, this.told(`holds ${octets} octets`))
    return this
  }

  /** What the last segment's text was worth: `length` octets from `skip`, kept at `offset`. */
  keeps(text: { readonly skip: number; readonly length: number; readonly offset: number }): this {
    assert.deepStrictEqual(
      { skip: this.outcome?.textSkip, length: this.outcome?.textLength, offset: this.outcome?.textOffset },
      text,
      this.told("keeps text")
    )
    return this
  }

  closes(): this {
    this.begin("closes")
    this.tcb = rfc9293.close(this.tcb, this.now)
    return this.output()
  }

  aborts(): this {
    this.begin("aborts")
    return this.apply(rfc9293.abort(this.tcb, this.now))
  }

  /** Time passes, in milliseconds; timers fire when they are due. */
  passes(milliseconds: number): this {
    this.begin(`${milliseconds} ms pass`)
    const until = this.now + milliseconds
    for (let due = rfc9293.deadline(this.tcb); due <= until; due = rfc9293.deadline(this.tcb)) {
      this.now = Math.max(due, this.now)
      this.tcb = machine.elapse(this.tcb, this.queued, this.now)
      this.output()
    }
    this.now = until
    return this
  }

  /** Any other event. */
  meets(what: string, change: (tcb: ControlBlock, now: number) => ControlBlock): this {
    this.begin(what)
    this.tcb = change(this.tcb, this.now)
    return this.output()
  }

  /** A look at the control block. */
  looks(look: (tcb: ControlBlock) => void): this {
    look(this.tcb)
    return this
  }

  private apply(outcome: Outcome): this {
    this.outcome = outcome
    this.tcb = outcome.tcb
    this.queued -= outcome.acknowledged
    if (outcome.reply !== undefined) this.sent.push(outcome.reply)
    return this.output()
  }

  private output(): this {
    for (let turn = 0; turn < 1000; turn++) {
      const next = machine.output(this.tcb, this.queued, this.now, this.limit)
      if (next === undefined) return this
      this.tcb = next.tcb
      this.sent.push(next.segment)
    }
    throw new Error(this.told("output has no end"))
  }

  private begin(event: string): void {
    this.sendsNothing()
    this.story.push(event)
  }

  private told(last: string): string {
    return [...this.story.slice(-12), last].map((line) => `\n  ${line}`).join("")
  }
}

/** Passive OPEN. */
export const listening = (options: ScriptOptions = {}): TcpScript =>
  new TcpScript(rfc9293.listen(parameters(options)), options.limit)

/** Active OPEN; the SYN is the first segment sent. */
export const connecting = (options: ScriptOptions = {}): TcpScript =>
  new TcpScript(rfc9293.connect(parameters(options), 0), options.limit)

/** What the peer said while an `established` connection was opened. */
export interface PeerOptions {
  /** Its initial sequence number; 300 by default, so that its first octet is 301. */
  readonly irs?: number
  readonly peerMss?: number | "none"
  readonly peerWindow?: number
}

/** ESTABLISHED by a passive OPEN: SND.NXT is ISS + 1 = 101, RCV.NXT is 301. */
export const established = (options: ScriptOptions & PeerOptions = {}): TcpScript => {
  const { irs = 300, peerMss = 1460, peerWindow = 65_535 } = options
  const iss = options.iss ?? 100
  const next = (irs + 1) % 0x1_0000_0000
  return listening(options)
    .receives(`<SEQ=${irs}><WND=${peerWindow}><MSS=${peerMss}><CTL=SYN>`)
    .sends(`<SEQ=${iss}><ACK=${next}><CTL=SYN,ACK>`)
    .receives(`<SEQ=${next}><ACK=${(iss + 1) % 0x1_0000_0000}><WND=${peerWindow}><CTL=ACK>`)
    .is("ESTABLISHED")
}
