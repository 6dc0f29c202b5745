/**
 * The control block that a connection owns.
 *
 * The machine's functions make new values, most of which live until the next segment. With one connection that is as
 * long as nothing; with a thousand each of them outlives the collector's young generation, is moved twice, and is
 * garbage where garbage is dear. So the shell keeps one set of records for as long as the connection lives, and takes
 * over into it what the machine has made, which then is garbage at once.
 *
 * Whoever looks at a connection's control block from outside of a turn sees it change. What must stay as it was is
 * copied: a snapshot by `own`.
 *
 * The records that change with every segment are taken over, that of the congestion control where it knows how (`keep`).
 * All others, such as the segments on their way, are values still, and shared. Field by field is many lines, but a
 * loop over the names of fields takes several times as long.
 */
import type { CongestionState } from "./Congestion.ts"
import type {
  ControlBlock,
  Deadlines,
  ReceiveSpace,
  RttState,
  SendSpace,
  TimestampState,
  Writable
} from "./ControlBlock.ts"
import type { RackState } from "./Rack.ts"
import type { DeliveryState } from "./RateSampling.ts"
import type { TuningState } from "./ReceiveTuning.ts"
import * as Transmissions from "./Transmissions.ts"

/** The records that change with every segment. */
interface Records {
  readonly snd: Writable<SendSpace>
  readonly rcv: Writable<ReceiveSpace>
  readonly transmissions: Writable<Transmissions.Transmissions>
  readonly rtt: Writable<RttState>
  readonly rack: Writable<RackState>
  readonly delivery: Writable<DeliveryState>
  readonly deadlines: Writable<Deadlines>
  readonly timestamps: Writable<TimestampState>
  readonly tuning: Writable<TuningState>
}

/** A control block that nobody else holds, nor those records of it. */
export type Owned = Records & Writable<Omit<ControlBlock, keyof Records>>

/** A control block of its own, equal to `tcb`. */
export const own = (tcb: ControlBlock): Owned => ({
  ...tcb,
  snd: { ...tcb.snd },
  rcv: { ...tcb.rcv },
  transmissions: Transmissions.own(tcb.transmissions),
  rtt: { ...tcb.rtt },
  rack: { ...tcb.rack },
  delivery: { ...tcb.delivery },
  congestion: tcb.algorithm.keep?.(undefined, tcb.congestion) ?? tcb.congestion,
  deadlines: { ...tcb.deadlines },
  timestamps: { ...tcb.timestamps },
  tuning: { ...tcb.tuning }
})

/** Makes `mine`, which `own` has made, equal to `tcb`. */
export const takeOver = (to: Owned, tcb: ControlBlock): void => {
  if (to.snd !== tcb.snd) takeSnd(to.snd, tcb.snd)
  if (to.rcv !== tcb.rcv) takeRcv(to.rcv, tcb.rcv)
  if (to.transmissions !== tcb.transmissions) takeTransmissions(to.transmissions, tcb.transmissions)
  if (to.rtt !== tcb.rtt) takeRtt(to.rtt, tcb.rtt)
  if (to.rack !== tcb.rack) takeRack(to.rack, tcb.rack)
  if (to.delivery !== tcb.delivery) takeDelivery(to.delivery, tcb.delivery)
  if (to.congestion !== tcb.congestion) to.congestion = keptCongestion(to, tcb)
  if (to.deadlines !== tcb.deadlines) takeDeadlines(to.deadlines, tcb.deadlines)
  if (to.timestamps !== tcb.timestamps) takeTimestamps(to.timestamps, tcb.timestamps)
  if (to.tuning !== tcb.tuning) takeTuning(to.tuning, tcb.tuning)
  to.state = tcb.state
  to.endpoints = tcb.endpoints
  to.passive = tcb.passive
  to.recovery = tcb.recovery
  to.algorithm = tcb.algorithm
  to.attempts = tcb.attempts
  to.probes = tcb.probes
  to.options = tcb.options
  to.ecn = tcb.ecn
  to.path = tcb.path
  to.keepAlive = tcb.keepAlive
  to.challengedAt = tcb.challengedAt
  to.reason = tcb.reason
  to.softError = tcb.softError
  to.counts = tcb.counts
  to.settings = tcb.settings
}

const takeSnd = (to: Writable<SendSpace>, from: SendSpace): void => {
  to.una = from.una
  to.nxt = from.nxt
  to.wnd = from.wnd
  to.up = from.up
  to.wl1 = from.wl1
  to.wl2 = from.wl2
  to.iss = from.iss
  to.max = from.max
  to.maxWnd = from.maxWnd
  to.mss = from.mss
  to.closing = from.closing
  to.fin = from.fin
  to.small = from.small
  to.sentAt = from.sentAt
  to.forced = from.forced
  to.scale = from.scale
  to.peak = from.peak
  to.paceAt = from.paceAt
}

const takeRcv = (to: Writable<ReceiveSpace>, from: ReceiveSpace): void => {
  to.nxt = from.nxt
  to.wnd = from.wnd
  to.up = from.up
  to.irs = from.irs
  to.capacity = from.capacity
  to.maximum = from.maximum
  to.unread = from.unread
  to.ranges = from.ranges
  to.fin = from.fin
  to.mss = from.mss
  to.fullSize = from.fullSize
  to.latestSize = from.latestSize
  to.unacknowledged = from.unacknowledged
  to.acknowledge = from.acknowledge
  to.quick = from.quick
  to.cautious = from.cautious
  to.interactive = from.interactive
  to.pushed = from.pushed
  to.textAt = from.textAt
  to.scale = from.scale
  to.acknowledged = from.acknowledged
  to.edge = from.edge
  to.recent = from.recent
  to.duplicate = from.duplicate
}

const takeTransmissions = (
  to: Writable<Transmissions.Transmissions>,
  from: Transmissions.Transmissions
): void => {
  to.una = from.una
  to.nxt = from.nxt
  to.board = from.board
  to.edge = from.edge
  to.queue = from.queue
  to.first = from.first
  to.end = from.end
  to.last = from.last
  to.sacked = from.sacked
  to.lost = from.lost
  to.highest = from.highest
}

const takeRtt = (to: Writable<RttState>, from: RttState): void => {
  to.smoothed = from.smoothed
  to.variance = from.variance
  to.timeout = from.timeout
  to.latest = from.latest
  to.minimum = from.minimum
  to.minimumAt = from.minimumAt
}

const takeRack = (to: Writable<RackState>, from: RackState): void => {
  to.sentAt = from.sentAt
  to.end = from.end
  to.again = from.again
  to.rtt = from.rtt
  to.reordering = from.reordering
  to.multiplier = from.multiplier
  to.persist = from.persist
  to.round = from.round
}

const takeDelivery = (to: Writable<DeliveryState>, from: DeliveryState): void => {
  to.delivered = from.delivered
  to.deliveredAt = from.deliveredAt
  to.firstSentAt = from.firstSentAt
  to.lost = from.lost
  to.lostRanges = from.lostRanges
  to.limitedUntil = from.limitedUntil
  to.rate = from.rate
  to.isRateLimited = from.isRateLimited
}

/** What one algorithm has made, no other one can keep. */
const keptCongestion = (mine: ControlBlock, { algorithm, congestion }: ControlBlock): CongestionState =>
  algorithm.keep?.(algorithm === mine.algorithm ? mine.congestion : undefined, congestion) ?? congestion

const takeDeadlines = (to: Writable<Deadlines>, from: Deadlines): void => {
  to.retransmit = from.retransmit
  to.persist = from.persist
  to.acknowledge = from.acknowledge
  to.timeWait = from.timeWait
  to.reorder = from.reorder
  to.tail = from.tail
  to.pace = from.pace
  to.keepAlive = from.keepAlive
  to.userTimeout = from.userTimeout
}

const takeTimestamps = (to: Writable<TimestampState>, from: TimestampState): void => {
  to.recent = from.recent
  to.recentAt = from.recentAt
  to.offset = from.offset
}

const takeTuning = (to: Writable<TuningState>, from: TuningState): void => {
  to.rtt = from.rtt
  to.echo = from.echo
  to.edge = from.edge
  to.edgeAt = from.edgeAt
  to.mark = from.mark
  to.since = from.since
  to.most = from.most
}
