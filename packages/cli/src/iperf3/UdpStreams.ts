/**
 * Streams over UDP.
 *
 * A stream is opened by four octets each way, so that the server learns where the client's datagrams come from. Then each
 * datagram begins with the time at which it was sent and its number:
 *
 * | octets | |
 * |---|---|
 * | 0–3, 4–7 | seconds and microseconds of the sender's clock, whatever its origin |
 * | 8–11, or 8–15 | the number, from 1; 64 bits when both have agreed on it |
 *
 * The path of a datagram is plain code: it is counted where UDP delivers it, and sent in batches, one turn of the stack each.
 */
import { Turn } from "@strata/core"
import { type DatagramInput, Udp, type UdpPort } from "@strata/core/udp/Udp"
import { fromIpv4, toInet, toIpv4 } from "@strata/core/wire/Address"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type DataStream, named, type Plan } from "./DataStream.ts"
import { type Iperf3Error, streamFailed, timedOut } from "./Iperf3Error.ts"
import { Tally } from "./Tally.ts"

type InetAddress = NetAddress.InetAddressV4

const OPENING_LENGTH = 4

/** What clients of version 3.12 open with, what servers answer to that, and what they answer to older ones. */
const HELLO = Uint8Array.of(0x39, 0x38, 0x37, 0x36)
const WELCOME = Uint8Array.of(0x36, 0x37, 0x38, 0x39)
const HELLO_NUMBER = new DataView(HELLO.buffer).getUint32(0)
const OLD_WELCOME = Uint8Array.of(0xb1, 0x68, 0xde, 0x3a)

/** Milliseconds after which a client that was not answered asks again, and how often it asks. */
const RETRY = { interval: 1000, times: 5 }

/** Datagrams that leave in one turn, and in one go when the rate is not limited; milliseconds that one go takes. */
const BATCH = 64
const BATCHES = 16
const GO = 2

const headerLength = ({ parameters }: Plan): number => parameters.counters64 ? 16 : 12

/** Counts a datagram; what is too short for its header is none. */
const makeReceiver = (tally: Tally, plan: Plan, now: () => number) => {
  const { goal } = plan
  const header = headerLength(plan)
  return ({ end, start, view }: { readonly start: number; readonly end: number; readonly view: DataView }): void => {
    const length = end - start
    if (length < header) return
    const sent = view.getUint32(start) * 1000 + view.getUint32(start + 4) / 1000
    const low = view.getUint32(start + header - 4)
    const number = header === 16 ? view.getUint32(start + 8) * 0x1_0000_0000 + low : low
    tally.datagram(length, number, sent, now())
    goal.noteReceived(length, 1)
  }
}

/** Where to, as UDP's plain face wants it. */
interface Path {
  readonly port: UdpPort
  readonly remoteAddress: number
  readonly remotePort: number
  /** The address to send from; 0 for the port's own. */
  readonly source: number
}

/**
 * Sends as the rate allows, with a look at the clock for each batch. What the device has no room for is not sent, nor
 * counted; it is made up for later.
 */
const sending = (
  path: Path,
  tally: Tally,
  plan: Plan,
  isStopped: () => boolean
): Effect.Effect<never, Iperf3Error, Turn> =>
  Effect.gen(function*() {
    const turn = yield* Turn
    const { goal, parameters: { length, pacingTimer, rate }, stopsAtGoal } = plan
    // A stream has its own copy, since it writes the time and the number into it.
    const datagram = plan.block.slice()
    const view = new DataView(datagram.buffer)
    const header = headerLength(plan)
    const interval = rate === 0 ? 0 : (8000 * length) / rate
    const tick = Math.max(1, pacingTimer)
    let number = 0
    let due = turn.now()
    let failure: { readonly message: string } | undefined

    const mayGoOn = () => !isStopped() && !(stopsAtGoal && goal.over)

    /** False when the device is full, or the path gone. */
    const sendOne = (): boolean => {
      number++
      view.setUint32(header - 4, number)
      if (header === 16) view.setUint32(8, Math.floor(number / 0x1_0000_0000))
      const reason = path.port.sendUnsafe(datagram, path.remoteAddress, path.remotePort, path.source)
      if (reason !== undefined) {
        number--
        if (reason._tag !== "NotSent") failure = reason
        return false
      }
      tally.count(length, 1)
      goal.noteSent(length, 1)
      due += interval
      return true
    }

    /** Sends what is due, a batch at most; true when that was all the device took or the rate allows. */
    const batch = (): boolean => {
      const now = turn.now()
      view.setUint32(0, Math.floor(now / 1000))
      view.setUint32(4, Math.floor((now % 1000) * 1000))
      for (let count = 0; count < BATCH; count++) {
        if (due > now || !mayGoOn() || !sendOne()) return true
      }
      return false
    }

    /** One batch after the other; false when there is more to do and others shall have their turn first. */
    const go = (): boolean => {
      const until = turn.now() + GO
      for (let count = 0; count < BATCHES; count++) {
        let done = false
        turn.run(() => {
          done = batch()
        })
        if (done) return true
        if (turn.now() >= until) return false
      }
      return true
    }

    while (mayGoOn()) {
      const rests = go()
      if (failure !== undefined) return yield* Effect.fail(streamFailed(failure))
      yield* rests ? Effect.sleep(Math.max(tick, due - turn.now())) : Effect.yieldNow
    }
    return yield* Effect.never
  })

const makeStream = Effect.fnUntraced(function*(
  path: Path,
  local: InetAddress,
  index: number,
  sends: boolean,
  plan: Plan,
  tally: Tally
): Effect.fn.Return<DataStream, never, Turn> {
  const turn = yield* Turn
  let stopped = false
  return {
    ...named(index),
    sends,
    local,
    remote: toInet(path.remoteAddress, path.remotePort),
    tally,
    info: undefined,
    move: sends ? Effect.provideService(sending(path, tally, plan, () => stopped), Turn, turn) : Effect.never,
    stop: () => {
      stopped = true
    },
    close: Effect.void
  }
})

/** Opens a stream to a server. */
export const open = Effect.fnUntraced(function*(
  remote: InetAddress,
  index: number,
  sends: boolean,
  plan: Plan
): Effect.fn.Return<DataStream, Iperf3Error, Udp | Turn | Scope.Scope> {
  const turn = yield* Turn
  const udp = yield* Udp
  const tally = new Tally()
  const receive = makeReceiver(tally, plan, turn.now)
  const answered = Deferred.makeUnsafe<void>()
  const input: DatagramInput = (packet) => {
    if (packet.length > OPENING_LENGTH) receive(packet)
    else Deferred.doneUnsafe(answered, Effect.void)
    return true
  }
  const port = yield* Effect.mapError(udp.bindWith({ remote }, input), streamFailed)
  const path = { port, remoteAddress: fromIpv4(remote.address), remotePort: remote.port, source: 0 }
  const ask = Effect.mapError(port.send(HELLO), streamFailed).pipe(
    Effect.andThen(Effect.timeoutOption(Deferred.await(answered), RETRY.interval))
  )
  for (let asked = 0; (yield* ask)._tag === "None"; asked++) {
    if (asked === RETRY.times - 1) return yield* timedOut("opening a UDP stream")
  }
  const local = NetAddress.inetAddressUnsafe(port.address, port.port) as InetAddress
  return yield* makeStream(path, local, index, sends, plan, tally)
})

/** The port of a server during one test. */
export interface Listening {
  /** The next stream that a client opens. */
  readonly accept: (index: number, sends: boolean) => Effect.Effect<DataStream>
}

/** Streams that a client opened and nobody accepted yet. */
const BACKLOG = 256

/** Takes the port until the scope closes, for one client: UDP has no cookie, so its address must do. */
export const listen = Effect.fnUntraced(function*(
  portNumber: number,
  client: NetAddress.Ipv4Address,
  plan: Plan
): Effect.fn.Return<Listening, Iperf3Error, Udp | Turn | Scope.Scope> {
  const turn = yield* Turn
  const udp = yield* Udp
  const clientAddress = fromIpv4(client)
  const receivers = new Map<number, ReturnType<typeof makeReceiver>>()
  const opened = yield* Queue.bounded<{ readonly path: Path; readonly tally: Tally }>(BACKLOG)

  const welcome = (opening: number, source: number, sourcePort: number, destination: number) => {
    const answer = opening === HELLO_NUMBER ? WELCOME : OLD_WELCOME
    return port.sendUnsafe(answer, source, sourcePort, destination)
  }

  const input: DatagramInput = (packet, source, sourcePort, destination) => {
    const key = source * 0x1_0000 + sourcePort
    const receiver = receivers.get(key)
    if (source !== clientAddress || packet.length < OPENING_LENGTH) return true
    if (packet.length > OPENING_LENGTH) {
      receiver?.(packet)
      return true
    }
    if (receiver === undefined) {
      const tally = new Tally()
      const path: Path = { port, remoteAddress: source, remotePort: sourcePort, source: destination }
      if (!Queue.offerUnsafe(opened, { path, tally })) return false
      receivers.set(key, makeReceiver(tally, plan, turn.now))
    }
    // A client whose answer was lost asks again.
    welcome(packet.view.getUint32(packet.start), source, sourcePort, destination)
    return true
  }
  const port: UdpPort = yield* Effect.mapError(udp.bindWith({ port: portNumber }, input), streamFailed)
  return {
    accept: (index, sends) =>
      Effect.gen(function*() {
        const { path, tally } = yield* Queue.take(opened)
        const local = NetAddress.inetAddressUnsafe(toIpv4(path.source), port.port) as InetAddress
        return yield* Effect.provideService(makeStream(path, local, index, sends, plan, tally), Turn, turn)
      })
  }
})
