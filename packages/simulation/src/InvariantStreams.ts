/**
 * What programs write to connections, and what they read from them: octet by
 * octet the same, from the first one on, and no end of the stream before the
 * last.
 *
 * A direction of a connection is known by both endpoints and the initial
 * sequence number of its sender, so that a port that is used again is another
 * connection. What was written is kept until it was read.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import type { Connection } from "@strata/core/tcp/Tcp"
import { copyOf } from "@strata/core/wire/Octets"
import { formatConnection, type Invariant, type Watch } from "./Invariants.ts"

/** One call of `write`. */
export interface Writing {
  /** All of it was taken. */
  readonly done: () => void
  /**
   * Nobody knows how much of it was taken. Where more is written, or waits already, the rest of the direction cannot be
   * compared.
   */
  readonly interrupted: () => void
  /** Nothing of it was taken, and nothing else has happened since it began. */
  readonly withdrawn: () => void
}

/** What one end of a connection writes. */
interface Outgoing {
  readonly connection: Connection
  /** Written and not read yet, in order. */
  readonly pieces: Array<DataView>
  /** Octets of `pieces[0]` that were read. */
  offset: number
  /** Octets read, of writes that began, and of writes that were complete. */
  read: number
  begun: number
  completed: number
  hasGap: boolean
  isUnknown: boolean
}

/** Both directions of one connection, as one of its ends sees them. */
export interface Ends {
  readonly writing: (bytes: Uint8Array) => Writing
  readonly wasRead: (chunks: ReadonlyArray<Uint8Array>) => void
  /** The end of the stream was read. */
  readonly wasFinished: () => void
  /** A read did not end well; what it had taken by then, nobody has seen. */
  readonly wasInterrupted: () => void
}

export interface Streams {
  /** A new connection of a host. */
  readonly connected: (host: string, connection: Connection) => Ends
}

export const make = (watch: Watch): Streams => {
  /** By `keyOf`; what has no peer yet waits in `unnamed`. */
  const named = new Map<string, Outgoing>()
  const unnamed = new Set<Outgoing>()

  const find = (tcb: ControlBlock): Outgoing | undefined => {
    for (const outgoing of unnamed) {
      const block = outgoing.connection.controlBlock()
      if (block.endpoints.remoteAddress === 0 || block.state === "LISTEN") continue
      unnamed.delete(outgoing)
      named.set(keyOfSender(block), outgoing)
    }
    return named.get(keyOfReceiver(tcb))
  }

  const connected: Streams["connected"] = (host, connection) => {
    const outgoing: Outgoing = {
      connection,
      pieces: [],
      offset: 0,
      read: 0,
      begun: 0,
      completed: 0,
      hasGap: false,
      isUnknown: false
    }
    unnamed.add(outgoing)
    let incoming: Outgoing | undefined

    const report = (invariant: Invariant, what: string) =>
      watch.report({ invariant, where: host, connection: formatConnection(connection.controlBlock().endpoints), what })

    return {
      writing: (bytes) => {
        const { isUnknown } = outgoing
        if (outgoing.hasGap) outgoing.isUnknown = true
        outgoing.begun += bytes.length
        const end = outgoing.begun
        if (bytes.length > 0) outgoing.pieces.push(viewOf(copyOf(bytes)))
        return {
          done: () => {
            outgoing.completed += bytes.length
          },
          interrupted: () => {
            if (outgoing.begun === end) outgoing.hasGap = true
            else outgoing.isUnknown = true
          },
          withdrawn: () => {
            outgoing.isUnknown = isUnknown
            outgoing.begun -= bytes.length
            if (bytes.length > 0) outgoing.pieces.pop()
          }
        }
      },
      wasRead: (chunks) => {
        incoming ??= find(connection.controlBlock())
        if (incoming === undefined) return report("delivery", "octets were read that nobody wrote")
        if (incoming.isUnknown) return
        for (const chunk of chunks) {
          const wrong = compare(incoming, chunk)
          if (wrong !== undefined) return report("delivery", wrong)
        }
      },
      wasFinished: () => {
        incoming ??= find(connection.controlBlock())
        if (incoming === undefined || incoming.isUnknown) return
        const { completed, read } = incoming
        if (read >= completed) return
        report("endOfStream", `the stream ended after ${read} octets, but ${completed} had been written before its end`)
      },
      wasInterrupted: () => {
        const tcb = connection.controlBlock()
        incoming ??= find(tcb)
        if (incoming !== undefined && takenBy(tcb) > incoming.read) incoming.isUnknown = true
      }
    }
  }
  return { connected }
}

const key = (from: number, fromPort: number, to: number, toPort: number, iss: number): string =>
  `${from}:${fromPort}>${to}:${toPort}#${iss}`

/** Of what the owner of a control block writes. */
const keyOfSender = ({ endpoints, snd }: ControlBlock): string =>
  key(endpoints.localAddress, endpoints.localPort, endpoints.remoteAddress, endpoints.remotePort, snd.iss)

/** Of what the owner of a control block reads. */
const keyOfReceiver = ({ endpoints, rcv }: ControlBlock): string =>
  key(endpoints.remoteAddress, endpoints.remotePort, endpoints.localAddress, endpoints.localPort, rcv.irs)

/** Octets that the program has taken out of the receive buffer. */
const takenBy = ({ rcv }: ControlBlock): number => {
  const fin = rcv.fin !== undefined && ((rcv.nxt - rcv.fin) | 0) > 0 ? 1 : 0
  return ((rcv.nxt - rcv.irs) >>> 0) - 1 - fin - rcv.unread
}

/** Takes the octets of a chunk from what was written; what is wrong with them, if anything. */
const compare = (outgoing: Outgoing, octets: Uint8Array): string | undefined => {
  const chunk = viewOf(octets)
  for (let at = 0; at < octets.length;) {
    const piece = outgoing.pieces[0]
    if (piece === undefined) {
      return `${outgoing.read + octets.length - at} octets were read, but only ${outgoing.begun} written`
    }
    const count = Math.min(octets.length - at, piece.byteLength - outgoing.offset)
    const equal = equalOctets(piece, outgoing.offset, chunk, at, count)
    if (equal < count) {
      const written = piece.getUint8(outgoing.offset + equal)
      return `octet ${outgoing.read + equal} is ${octets[at + equal]}, but ${written} was written`
    }
    at += count
    outgoing.read += count
    outgoing.offset += count
    if (outgoing.offset < piece.byteLength) continue
    outgoing.pieces.shift()
    outgoing.offset = 0
  }
  return undefined
}

/** How many of `count` octets are equal; by words as far as that goes, since all that is ever written comes here. */
const equalOctets = (a: DataView, fromA: number, b: DataView, fromB: number, count: number): number => {
  let index = 0
  while (index + 4 <= count && a.getUint32(fromA + index) === b.getUint32(fromB + index)) index += 4
  while (index < count && a.getUint8(fromA + index) === b.getUint8(fromB + index)) index++
  return index
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
