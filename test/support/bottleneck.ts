/**
 * Flows of a congestion control through one bottleneck, without a TCP around them: a queue in front of a link, and a
 * delay. Segments are numbered, so that it is always known which was delivered and which was lost; what was lost is not
 * sent again, since only the volume counts. Delivery rates are sampled as in draft-ietf-ccwg-bbr-06 §4.1.2.
 */
import type { CongestionAlgorithm, CongestionState, CongestionView, RateSample } from "@strata/core/tcp/Congestion"

export const MSS = 1460

/** Octets per millisecond. */
export const megabits = (rate: number): number => rate * 125

/** The rate of a path of which nothing else is said, and what it holds in its 40 ms. */
export const RATE = megabits(40)
export const PRODUCT = RATE * 40

/** May be changed while traffic runs. */
export interface Path {
  /** Octets per millisecond. */
  rate: number
  /** Milliseconds there and back, without queues. */
  rtt: number
  /** Octets that wait at most. */
  queue: number
  /** The probability that a segment is lost, whether or not there is room. */
  loss: number
  /** Milliseconds between which acknowledgements are held back, to come all at once; 0 for none. */
  heaps: number
  /** Milliseconds for which a paced flow sends at once, as a pacer with a coarse timer does. */
  quantum: number
}

export interface FlowOptions {
  readonly algorithm: CongestionAlgorithm
  /** When it begins. */
  readonly start?: number
  /** Octets that the program has written by a time; without it there is always more. */
  readonly written?: (now: number) => number
  /** Called after each acknowledgement. */
  readonly watch?: (flow: Flow, now: number) => void
}

interface Segment {
  readonly id: number
  readonly sentAt: number
  readonly delivered: number
  readonly deliveredAt: number
  readonly firstSentAt: number
  readonly lost: number
  readonly inFlight: number
  readonly limited: boolean
}

/** A linear congruential generator: the same losses in each run. */
const generator = (seed: number): () => number => {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

/** Tasks in the order of their times. */
class Agenda {
  #heap: Array<{ at: number; order: number; task: () => void }> = []
  #order = 0
  now = 0

  at(time: number, task: () => void): void {
    const entry = { at: time, order: this.#order++, task }
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!Agenda.#before(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  static #before(left: { at: number; order: number }, right: { at: number; order: number }): boolean {
    return left.at < right.at || (left.at === right.at && left.order < right.order)
  }

  #take(): (() => void) | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined) return undefined
    const last = heap.pop()!
    if (heap.length > 0) {
      let index = 0
      for (;;) {
        let child = 2 * index + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && Agenda.#before(heap[child + 1]!, heap[child]!)) child++
        if (!Agenda.#before(heap[child]!, last)) break
        heap[index] = heap[child]!
        index = child
      }
      heap[index] = last
    }
    this.now = first.at
    return first.task
  }

  run(until: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= until) this.#take()!()
    this.now = until
  }
}

export class Flow {
  state: CongestionState
  /** Octets. */
  inFlight = 0
  delivered = 0
  lost = 0
  sent = 0
  timeouts = 0
  /** Times at which segments were sent, if asked for. */
  readonly departures: Array<number> = []

  readonly #bottleneck: Bottleneck
  readonly #options: FlowOptions
  readonly #outstanding = new Map<number, Segment>()
  readonly #undecided: Array<number> = []
  #id = 0
  #deliveredAt = 0
  #firstSentAt = 0
  #limitedUntil = 0
  #minimumRtt = Infinity
  #smoothedRtt: number | undefined
  #nextSend = 0
  #waiting = false
  #isBursting = false
  #recover = -1
  #isFull = false
  #sentAt = 0
  #progress = 0

  constructor(bottleneck: Bottleneck, options: FlowOptions) {
    this.#bottleneck = bottleneck
    this.#options = options
    this.state = options.algorithm.initial(MSS)
  }

  get window(): number {
    return this.state.window
  }

  view(): CongestionView {
    return {
      mss: MSS,
      inFlight: this.inFlight,
      smoothedRtt: this.#smoothedRtt,
      minimumRtt: this.#minimumRtt,
      now: this.#bottleneck.now
    }
  }

  /** Sends as window, rate and program allow. */
  send(): void {
    const { now } = this.#bottleneck
    for (;;) {
      const written = this.#options.written?.(now) ?? Infinity
      if (this.sent + MSS > written) {
        if (this.inFlight < this.window) this.#limitedUntil = this.delivered + this.inFlight
        return
      }
      if (this.inFlight + MSS > this.window) {
        this.#isFull = true
        return
      }
      if (this.inFlight === 0 && now - this.#sentAt > this.#timeout() && this.sent > 0) {
        this.state = this.#options.algorithm.onIdle?.(this.state, now - this.#sentAt, this.view()) ?? this.state
      }
      if (this.#nextSend > now + (this.#isBursting ? this.#bottleneck.path.quantum : 0)) {
        this.#isBursting = false
        this.#wait()
        return
      }
      this.#isBursting = true
      this.#transmit(now)
    }
  }

  #wait(): void {
    if (this.#waiting) return
    this.#waiting = true
    this.#bottleneck.at(this.#nextSend, () => {
      this.#waiting = false
      this.send()
    })
  }

  #transmit(now: number): void {
    if (this.inFlight === 0) {
      this.#firstSentAt = this.#deliveredAt = now
      this.#watchdog()
    }
    this.inFlight += MSS
    this.sent += MSS
    this.#sentAt = now
    this.departures.push(now)
    const segment: Segment = {
      id: this.#id++,
      sentAt: now,
      delivered: this.delivered,
      deliveredAt: this.#deliveredAt,
      firstSentAt: this.#firstSentAt,
      lost: this.lost,
      inFlight: this.inFlight,
      limited: this.#limitedUntil > 0
    }
    this.#outstanding.set(segment.id, segment)
    this.#undecided.push(segment.id)
    if (this.state.pacingRate !== undefined) {
      this.#nextSend = Math.max(now, this.#nextSend) + MSS / this.state.pacingRate
    }
    this.#bottleneck.enqueue(() => this.#acknowledged(segment))
  }

  #acknowledged(segment: Segment): void {
    const { now } = this.#bottleneck
    if (!this.#outstanding.delete(segment.id)) return
    const view = this.view()
    const rtt = now - segment.sentAt
    this.#minimumRtt = Math.min(this.#minimumRtt, rtt)
    this.#smoothedRtt = this.#smoothedRtt === undefined ? rtt : this.#smoothedRtt * 0.875 + rtt * 0.125
    this.inFlight -= MSS
    this.delivered += MSS
    this.#deliveredAt = now
    this.#firstSentAt = segment.sentAt
    this.#progress++
    if (this.#limitedUntil > 0 && this.delivered > this.#limitedUntil) this.#limitedUntil = 0
    const lost = this.#losses(segment.id)
    const rate: RateSample = {
      delivered: this.delivered - segment.delivered,
      priorDelivered: segment.delivered,
      interval: Math.max(segment.sentAt - segment.firstSentAt, now - segment.deliveredAt),
      inFlightAtSend: segment.inFlight,
      lost: this.lost - segment.lost,
      applicationLimited: segment.limited
    }
    const { algorithm } = this.#options
    if (lost > 0 && this.#recover < 0) {
      this.state = algorithm.onCongestion(this.state, "loss", view)
      this.#recover = this.#id
    }
    this.state = algorithm.onAck(this.state, {
      acknowledged: MSS,
      delivered: MSS,
      totalDelivered: this.delivered,
      lost,
      rtt,
      rate,
      windowLimited: this.#isFull,
      recovering: this.#recover >= 0,
      afterTimeout: false,
      una: (this.#undecided[0] ?? this.#id) * MSS >>> 0,
      nxt: this.#id * MSS >>> 0,
      congestionEcho: false
    }, view)
    this.#isFull = this.#isFull && this.inFlight + 2 * MSS > this.window
    if (this.#recover >= 0 && (this.#undecided[0] ?? Infinity) >= this.#recover) {
      this.#recover = -1
      this.state = algorithm.onRecovered(this.state, this.view())
    }
    this.send()
    this.#options.watch?.(this, now)
  }

  /** What was sent three segments before one that was delivered, and was not delivered, is lost. */
  #losses(id: number): number {
    const undecided = this.#undecided
    let lost = 0
    while (undecided.length > 0 && undecided[0]! <= id) {
      const oldest = undecided[0]!
      if (this.#outstanding.has(oldest)) {
        if (oldest > id - 3) break
        this.#outstanding.delete(oldest)
        lost += MSS
      }
      undecided.shift()
    }
    this.lost += lost
    this.inFlight -= lost
    return lost
  }

  #timeout(): number {
    return Math.max(200, 2 * (this.#smoothedRtt ?? 500))
  }

  /** While anything is outstanding, something has to be delivered from time to time. */
  #watchdog(): void {
    const progress = this.#progress
    this.#bottleneck.at(this.#bottleneck.now + this.#timeout(), () => {
      if (this.inFlight === 0) return
      if (this.#progress === progress) {
        this.timeouts++
        this.state = this.#options.algorithm.onTimeout(this.state, true, this.view())
        this.lost += this.inFlight
        this.inFlight = 0
        this.#outstanding.clear()
        this.#undecided.length = 0
        this.#recover = -1
        this.send()
      } else this.#watchdog()
    })
  }
}

export class Bottleneck {
  /** Octets that wait now. */
  backlog = 0
  dropped = 0
  readonly path: Path
  readonly flows: Array<Flow> = []
  readonly #agenda = new Agenda()
  readonly #random: () => number
  #freeAt = 0

  constructor(path: Partial<Path> = {}, seed = 1) {
    this.path = { rate: RATE, rtt: 40, queue: Infinity, loss: 0, heaps: 0, quantum: 0, ...path }
    this.#random = generator(seed)
  }

  get now(): number {
    return this.#agenda.now
  }

  at(time: number, task: () => void): void {
    this.#agenda.at(Math.max(time, this.now), task)
  }

  add(options: FlowOptions): Flow {
    const flow = new Flow(this, options)
    this.flows.push(flow)
    this.at(options.start ?? 0, () => flow.send())
    return flow
  }

  run(until: number): void {
    this.#agenda.run(until)
  }

  /** One segment; `acknowledged` when its acknowledgement is back. */
  enqueue(acknowledged: () => void): void {
    const { heaps, loss, queue, rate, rtt } = this.path
    if (this.#random() < loss) return
    if (this.backlog + MSS > queue) {
      this.dropped++
      return
    }
    this.backlog += MSS
    this.#freeAt = Math.max(this.#freeAt, this.now) + MSS / rate
    this.at(this.#freeAt, () => {
      this.backlog -= MSS
      const back = this.now + rtt
      this.at(heaps === 0 ? back : Math.ceil(back / heaps) * heaps, acknowledged)
    })
  }
}
