/**
 * What the TCP machine costs per segment, without buffers, checksums and packets.
 *
 * In nanoseconds of processor time for one segment, garbage collection included.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { Reno } from "@strata/core/tcp/Reno"
import { NO_OPTIONS, type Segment, TcpFlag } from "@strata/core/tcp/Segment"
import * as Sequence from "@strata/core/tcp/Sequence"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { costOf, main } from "../support/program.ts"

const SEGMENTS = 100_000
const MSS = 1460

const segment = (seq: number, ack: number, flags: number, length: number): Segment => ({
  seq,
  ack,
  flags,
  wnd: 65_535,
  up: 0,
  length,
  options: NO_OPTIONS
})

const established = (iss: number, irs: number): ControlBlock => {
  const listening = rfc9293.listen({
    endpoints: { localAddress: 1, localPort: 1, remoteAddress: 2, remotePort: 2 },
    iss,
    receiveMaximumSegmentSize: MSS,
    receiveCapacity: 262_144,
    congestion: Reno,
    settings: defaultSettings,
    timestampOffset: 0
  })
  const synReceived = rfc9293.arrives(
    listening,
    { ...segment(irs, 0, TcpFlag.syn, 0), options: { maximumSegmentSize: MSS } },
    0
  ).tcb
  const sent = rfc9293.output(synReceived, 0, 0)!.tcb
  return rfc9293.arrives(sent, segment(Sequence.add(irs, 1), Sequence.add(iss, 1), TcpFlag.ack, 0), 0).tcb
}

/** Segments in order, read at once; an acknowledgement for every second. */
const receive = (from: ControlBlock): ControlBlock => {
  let tcb = from
  for (let count = 0; count < SEGMENTS; count++) {
    const outcome = rfc9293.arrives(tcb, segment(tcb.rcv.nxt, tcb.snd.una, TcpFlag.ack, MSS), count)
    tcb = rfc9293.consumed(outcome.tcb, outcome.textLength, count)
    const next = rfc9293.output(tcb, 0, count)
    if (next !== undefined) tcb = next.tcb
  }
  return tcb
}

/** Segments in order in batches of 32, read and acknowledged once a batch. */
const receiveBatches = (from: ControlBlock): ControlBlock => {
  let tcb = from
  for (let count = 0; count < SEGMENTS;) {
    for (let batch = 0; batch < 32; batch++, count++) {
      tcb = rfc9293.arrives(tcb, segment(tcb.rcv.nxt, tcb.snd.una, TcpFlag.ack, MSS), count).tcb
    }
    tcb = rfc9293.consumed(tcb, tcb.rcv.unread, count)
    const next = rfc9293.output(tcb, 0, count)
    if (next !== undefined) tcb = next.tcb
  }
  return tcb
}

/** An acknowledgement of two segments in, two segments out: counted by segments out. */
const send = (from: ControlBlock): ControlBlock => {
  let tcb = from
  for (let count = 0; count < SEGMENTS;) {
    for (;;) {
      const next = rfc9293.output(tcb, 1_000_000, count)
      if (next === undefined) break
      tcb = next.tcb
      count++
    }
    const una = Sequence.add(tcb.snd.una, Math.min(2 * MSS, Sequence.difference(tcb.snd.una, tcb.snd.nxt)))
    tcb = rfc9293.arrives(tcb, segment(tcb.rcv.nxt, una, TcpFlag.ack, 0), count).tcb
  }
  return tcb
}

/** A request of 64 octets in, an answer of 64 octets out that acknowledges it. */
const exchange = (from: ControlBlock): ControlBlock => {
  let tcb = from
  for (let count = 0; count < SEGMENTS; count++) {
    const outcome = rfc9293.arrives(tcb, segment(tcb.rcv.nxt, tcb.snd.nxt, TcpFlag.ack | TcpFlag.psh, 64), count)
    tcb = rfc9293.consumed(outcome.tcb, 64, count)
    tcb = rfc9293.output(tcb, 64, count)!.tcb
  }
  return tcb
}

/** Keeps the connection from one round to the next, as in life; sequence numbers start beyond 2^31. */
const keeping = (work: (tcb: ControlBlock) => ControlBlock) => (seconds: number) => {
  let tcb = established(0x9000_0000, 0xa000_0000)
  return costOf(SEGMENTS, () => {
    tcb = work(tcb)
  }, seconds)
}

await main({
  receive: keeping(receive),
  "receive in batches": keeping(receiveBatches),
  send: keeping(send),
  exchange: keeping(exchange)
})
