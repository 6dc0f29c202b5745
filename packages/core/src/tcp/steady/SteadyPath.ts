/**
 * The steady path: what nearly all segments of an established connection are, done in place.
 *
 * The next text in order, the acknowledgement of what was sent, and what is sent in return, with nothing missing on either side, change a
 * few fields of the connection's own records and make nothing anew (header prediction, as V. Jacobson called it in 1990). All else is left
 * to the machine, whose functions make new values. For whatever is taken here the machine does the same, field by field: that is what the
 * tests hold this path to, and where the two differ the machine is right.
 *
 * What is told of a segment stands in records that are used again for the next one, of any connection.
 */
import * as Acknowledgement from "../Acknowledgement.ts"
import * as Calls from "../Calls.ts"
import type { CongestionView, Delivery } from "../Congestion.ts"
import { type ControlBlock, type SendSpace, type Writable } from "../ControlBlock.ts"
import * as DelayedAcknowledgement from "../DelayedAcknowledgement.ts"
import * as Ecn from "../Ecn.ts"
import * as KeepAlive from "../KeepAlive.ts"
import * as News from "../News.ts"
import * as Output from "../Output.ts"
import type { Owned } from "../Ownership.ts"
import * as Pacing from "../Pacing.ts"
import * as Rack from "../Rack.ts"
import * as RateSampling from "../RateSampling.ts"
import * as ReceiveTuning from "../ReceiveTuning.ts"
import * as ReceiveWindow from "../ReceiveWindow.ts"
import * as Recovery from "../Recovery.ts"
import * as Reply from "../Reply.ts"
import * as Rtt from "../Rtt.ts"
import { NO_OPTIONS, type Segment, TcpFlag } from "../Segment.ts"
import * as SendWindow from "../SendWindow.ts"
import * as Sequence from "../Sequence.ts"
import * as TailLoss from "../TailLoss.ts"
import type { Emission } from "../TcpMachine.ts"
import * as Timestamps from "../Timestamps.ts"
import * as Transmissions from "../Transmissions.ts"
import { firstBeyond, Runs } from "./Runs.ts"

/** What came of a segment; octets of text. */
export interface Taken {
  /** Of the send buffer, that can be freed. */
  readonly acknowledged: number
  /** Of the segment, all that it has, which come next in order. */
  readonly received: number
  /** To be sent at once. */
  readonly reply: Emission | undefined
}

// Arrival

/** Whether nothing is missing of what the peer sends. */
const isInOrder = ({ rcv }: ControlBlock): boolean =>
  rcv.ranges.length === 0 && rcv.fin === undefined && rcv.duplicate === undefined

/** Whether nothing is missing of what we send, nothing was sent again, and no timer has made anything due. */
const isUndisturbed = ({ attempts, deadlines, path, probes, recovery, snd, transmissions }: ControlBlock): boolean =>
  Transmissions.isClean(transmissions) &&
  recovery.phase === "open" && recovery.tail === undefined && recovery.duplicates === 0 &&
  attempts === 0 && probes === 0 && path.probe === undefined && snd.max === snd.nxt && !snd.forced &&
  deadlines.reorder === Infinity && deadlines.persist === Infinity

/** Whether a segment of a synchronized connection is next in order, has no control bit but ACK and PSH, and options that say nothing new. */
const isNext = (tcb: ControlBlock, segment: Segment, now: number): boolean =>
  segment.seq === tcb.rcv.nxt &&
  (segment.flags & ~TcpFlag.psh) === TcpFlag.ack &&
  segment.options.sack === undefined &&
  segment.congestionExperienced !== true &&
  segment.length <= ReceiveWindow.understood(tcb.rcv) &&
  !Timestamps.isMissing(tcb, segment) && !Timestamps.isOld(tcb, segment, now)

/** Whether nothing that is still on its way can be found lost once everything before `ack` is acknowledged. */
const isOrderly = ({ options, rack, snd, transmissions }: ControlBlock, ack: number): boolean => {
  if (!options.sack || ack === snd.nxt || ack === snd.una) return true
  const first = firstBeyond(transmissions, ack)
  return first === undefined || !Rack.isAfter(rack, first)
}

/** SND.WND after the segment. */
const windowAfter = (snd: SendSpace, segment: Segment): number =>
  Acknowledgement.isWindowUpdate(snd, segment) ? Acknowledgement.scaled(snd, segment) : snd.wnd

/** Whether the segment is taken in place. */
export const isExpected = (tcb: ControlBlock, segment: Segment, now: number): boolean => {
  const { snd } = tcb
  if (tcb.state !== "ESTABLISHED" || !isNext(tcb, segment, now) || !isInOrder(tcb) || !isUndisturbed(tcb)) return false
  const octets = Sequence.difference(snd.una, segment.ack)
  return octets >= 0 && octets <= SendWindow.flight(snd) && (octets > 0 || segment.length > 0) &&
    windowAfter(snd, segment) >= snd.mss &&
    isOrderly(tcb, segment.ack)
}

// Departure

/** Whether what `output` would do is done in place; `queued` as for `TcpMachine.output`. */
export const isSteady = (tcb: ControlBlock, queued: number, now: number): boolean => {
  const { keepAlive, options, path, rtt, snd, state } = tcb
  return state === "ESTABLISHED" && isInOrder(tcb) && isUndisturbed(tcb) &&
    !options.ecn && !keepAlive.isDue && now < path.probeAt &&
    // RFC 5681 §4.1: for text after a pause, the window is another one.
    (queued === 0 || snd.max !== snd.una || !(now - snd.sentAt > rtt.timeout))
}

export class SteadyPath {
  private readonly runs = new Runs()
  private readonly news: Writable<News.News> = News.none(Transmissions.empty(0), 0, 0, 0, undefined)
  private readonly sample = RateSampling.nothingSampled()
  private readonly view: Writable<CongestionView> = {
    mss: 0,
    inFlight: 0,
    smoothedRtt: undefined,
    minimumRtt: 0,
    now: 0,
    selective: true
  }
  private readonly delivery: Writable<Delivery> = {
    acknowledged: 0,
    delivered: 0,
    totalDelivered: 0,
    lost: 0,
    lostRanges: 0,
    rtt: undefined,
    rate: undefined,
    windowLimited: false,
    recovering: false,
    afterTimeout: false,
    una: 0,
    nxt: 0,
    congestionEcho: false
  }
  private readonly stamps = { value: 0, echoReply: 0 }
  private readonly stamped = { sack: undefined, timestamps: this.stamps }
  private readonly emission: Writable<Emission> = {
    seq: 0,
    ack: 0,
    flags: 0,
    wnd: 0,
    up: 0,
    length: 0,
    segmentSize: 0,
    options: NO_OPTIONS,
    textOffset: 0
  }
  private readonly taken: Writable<Taken> = { acknowledged: 0, received: 0, reply: undefined }

  /** What `TcpMachine.arrives` does, for a segment that is expected; undefined for any other, and nothing is changed then. */
  arrives(tcb: Owned, segment: Segment, now: number): Taken | undefined {
    if (!isExpected(tcb, segment, now)) return undefined
    const acknowledged = Sequence.difference(tcb.snd.una, segment.ack)
    this.stamp(tcb, segment, now)
    if (tcb.settings.keepAlive) this.heard(tcb, now)
    if (acknowledged > 0) this.acknowledge(tcb, segment, acknowledged, now)
    else offer(tcb.snd, segment)
    this.taken.acknowledged = acknowledged
    this.taken.received = segment.length
    this.taken.reply = segment.length > 0 ? this.receive(tcb, segment, now) : undefined
    return this.taken
  }

  /**
   * What `TcpMachine.output` does where `isSteady` holds: the next segment to send, or undefined. The emission is good until the next one.
   */
  output(tcb: Owned, queued: number, now: number, limit: number): Emission | undefined {
    const unsent = queued - SendWindow.flight(tcb.snd)
    if (unsent > 0 && !Pacing.isEarly(tcb, now)) {
      const length = Output.textLength(tcb, unsent, Pacing.together(tcb, limit, now))
      if (length > 0) return this.send(tcb, length, length === unsent, now)
    }
    return tcb.rcv.acknowledge === "now" ? this.reply(tcb, now) : undefined
  }

  /** What `TcpMachine.consumed` does. */
  consumed(tcb: Owned, octets: number, now: number): void {
    Calls.consume(tcb, tcb.rcv, tcb.tuning, octets, now)
  }

  /** RFC 7323 §4.3 */
  private stamp({ options, rcv, timestamps }: Owned, { options: said, seq }: Segment, now: number): void {
    const stamps = options.timestamps ? said.timestamps : undefined
    if (stamps === undefined || stamps.value === timestamps.recent) return
    if (Sequence.greaterThan(seq, rcv.acknowledged)) return
    timestamps.recent = stamps.value
    timestamps.recentAt = now
  }

  private heard(tcb: Owned, now: number): void {
    const { deadlines, keepAlive } = KeepAlive.heard(tcb, now)
    tcb.keepAlive = keepAlive
    tcb.deadlines.keepAlive = deadlines.keepAlive
  }

  /** The fifth step of RFC 9293 §3.10.7.4: SND.UNA advances by `octets`. */
  private acknowledge(tcb: Owned, segment: Segment, octets: number, now: number): void {
    const { news, view } = this
    const { delivery, deadlines, options, recovery, rtt, snd, transmissions } = tcb
    view.inFlight = SendWindow.inFlight(tcb)
    const echo = Acknowledgement.echoed(tcb, segment, now)
    News.clear(news, transmissions, recovery.until, now, rtt.minimum, echo)
    this.runs.acknowledge(transmissions, segment.ack, news)
    const roundTrip = Acknowledgement.roundTrip(news, echo, now)
    if (roundTrip !== undefined) Rtt.measure(rtt, roundTrip, now, tcb.settings)
    snd.una = segment.ack
    offer(snd, segment)
    RateSampling.deliver(delivery, news, rtt.minimum, now)
    tcb.softError = false
    tcb.recovery = Recovery.remembered(recovery, snd.una)
    if (options.sack) Rack.deliver(tcb.rack, news)
    this.open(tcb, octets, roundTrip, now)
    // RFC 6298 §5.2 and 5.3, RFC 8985 §7.2
    deadlines.retransmit = snd.una === snd.nxt ? Infinity : now + rtt.timeout
    deadlines.tail = TailLoss.deadline(tcb, deadlines.retransmit, now)
  }

  /** Tells the congestion control. */
  private open(tcb: Owned, octets: number, roundTrip: number | undefined, now: number): void {
    const { delivery, news, view } = this
    const { algorithm, rtt, snd } = tcb
    delivery.acknowledged = octets
    delivery.delivered = news.delivered
    delivery.totalDelivered = tcb.delivery.delivered
    delivery.rtt = roundTrip
    delivery.rate = RateSampling.sample(tcb.delivery, news, rtt.minimum, now, this.sample)
    delivery.windowLimited = SendWindow.isLimiting(tcb)
    delivery.una = snd.una
    delivery.nxt = snd.nxt
    view.mss = snd.mss
    view.smoothedRtt = rtt.smoothed
    view.minimumRtt = rtt.minimum
    view.now = now
    view.selective = tcb.options.sack
    const { inPlace, keep, onAck } = algorithm
    if (keep !== undefined && inPlace?.onAck === onAck) inPlace.acknowledge(tcb.congestion, delivery, view)
    else {
      // Whatever it keeps of them is its own.
      const rate = delivery.rate === undefined ? undefined : { ...delivery.rate }
      const state = algorithm.onAck(tcb.congestion, { ...delivery, rate }, { ...view })
      tcb.congestion = keep?.(tcb.congestion, state) ?? state
    }
  }

  /** The seventh step: text in order; perhaps an acknowledgement at once. */
  private receive(tcb: Owned, segment: Segment, now: number): Emission | undefined {
    const { deadlines, rcv } = tcb
    const { length } = segment
    const nxt = Sequence.add(rcv.nxt, length)
    rcv.nxt = nxt
    rcv.wnd = Math.max(0, rcv.wnd - length)
    rcv.up = Sequence.latest(rcv.up, nxt)
    rcv.unread += length
    DelayedAcknowledgement.received(rcv, tcb, segment, length, length, false, now)
    if (rcv.acknowledge === "delayed" && deadlines.acknowledge === Infinity) {
      deadlines.acknowledge = now + tcb.settings.delayedAcknowledgement
    }
    if (ReceiveTuning.isMeasured(tcb, segment)) ReceiveTuning.measure(tcb.tuning, tcb, segment, now)
    return rcv.acknowledge === "now" && DelayedAcknowledgement.isMuch(rcv) ? this.reply(tcb, now) : undefined
  }

  /** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` */
  private reply(tcb: Owned, now: number): Emission {
    const { deadlines, rcv } = tcb
    if (ReceiveWindow.settle(rcv)) deadlines.acknowledge = Infinity
    return this.emit(tcb, Reply.emptySequence(tcb), TcpFlag.ack, 0, 0, now)
  }

  /** `length` octets from SND.NXT on; `isLast` when no more are there. */
  private send(tcb: Owned, length: number, isLast: boolean, now: number): Emission {
    const { congestion, deadlines, delivery, rcv, settings, snd } = tcb
    const seq = snd.nxt
    const end = Sequence.add(seq, length)
    const sent = SendWindow.flight(snd)
    const inFlight = SendWindow.inFlight(tcb)
    const peak = inFlight + length
    ReceiveWindow.settle(rcv)
    if (DelayedAcknowledgement.isAnswer(rcv, length, settings.delayedAcknowledgement, now)) rcv.interactive = true
    RateSampling.send(delivery, inFlight, now)
    this.runs.sent(tcb.transmissions, end, now, delivery)
    if (isLast && peak + snd.mss <= congestion.window) RateSampling.limit(delivery, peak)
    snd.nxt = end
    snd.max = end
    if (length % snd.mss !== 0) snd.small = end
    snd.paceAt = Pacing.after(tcb, length, now)
    snd.sentAt = now
    snd.peak = peak
    Output.transmit(tcb, deadlines, now)
    return this.emit(tcb, seq, isLast ? TcpFlag.ack | TcpFlag.psh : TcpFlag.ack, length, sent, now)
  }

  private emit(
    tcb: Owned,
    seq: number,
    flags: number,
    length: number,
    textOffset: number,
    now: number
  ): Emission {
    const { emission, stamps } = this
    const { options, rcv, snd, timestamps } = tcb
    emission.seq = seq
    emission.ack = rcv.nxt
    emission.flags = flags | Ecn.echo(tcb)
    emission.wnd = ReceiveWindow.field(rcv)
    emission.length = length
    emission.segmentSize = length > snd.mss ? snd.mss : 0
    emission.textOffset = textOffset
    if (options.timestamps) {
      stamps.value = Timestamps.value(timestamps, now)
      stamps.echoReply = timestamps.recent
    }
    emission.options = options.timestamps ? this.stamped : NO_OPTIONS
    return emission
  }
}

/** SND.WND, SND.WL1 and SND.WL2 */
const offer = (snd: Writable<SendSpace>, segment: Segment): void => {
  if (!Acknowledgement.isWindowUpdate(snd, segment)) return
  const wnd = Acknowledgement.scaled(snd, segment)
  snd.wnd = wnd
  snd.wl1 = segment.seq
  snd.wl2 = segment.ack
  if (wnd > snd.maxWnd) snd.maxWnd = wnd
}
