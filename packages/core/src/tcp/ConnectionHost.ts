import type { Packet } from "../device/Packet.ts"
import type { Timers } from "../time/Timers.ts"
import type { Turn } from "../time/Turn.ts"
import type { LiveConnection } from "./Connection.ts"
import type { ControlBlock, Endpoints, State } from "./ControlBlock.ts"
import type { Segment } from "./Segment.ts"
import type { WriteSegment } from "./SegmentWriter.ts"
import type { SteadyPath } from "./steady/SteadyPath.ts"
import type { TcpCounters } from "./TcpCounters.ts"
import type { Outcome, TcpMachine } from "./TcpMachine.ts"

/** What a connection needs of its stack. */
export interface ConnectionHost {
  readonly turn: Turn["Service"]
  readonly timers: Timers["Service"]
  readonly machine: TcpMachine["Service"]
  /** Where the machine is that of RFC 9293: what it does with most segments, in place. */
  readonly steady: SteadyPath | undefined
  readonly writeSegment: WriteSegment
  /** Octets of the path's MTU. */
  readonly mtuFor: (remoteAddress: number) => number
  /** The largest packet that the device of the route cuts into segments, in octets from the IPv4 header on; 0 for none. */
  readonly segmentationFor: (endpoints: Endpoints) => number
  readonly counters: TcpCounters
  /** The connection is in another state than `from` now. */
  readonly moved: (connection: LiveConnection, from: State) => void
  /** No program holds the connection any more, and its end is still to come. */
  readonly orphaned: (connection: LiveConnection) => void
  /** A SYN for the connection arrived. */
  readonly opens: (connection: LiveConnection, segment: Segment) => void
  /** Whether the reply to a segment may leave: strangers can ask for resets and challenges. */
  readonly mayReply: (before: ControlBlock, outcome: Outcome) => boolean
  /** Gives a SYN for a connection in TIME-WAIT to a listener in the connection's place, if there is one. */
  readonly reopen: (connection: LiveConnection, segment: Segment, packet: Packet) => boolean
}
