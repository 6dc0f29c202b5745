/**
 * Writes what passes a device as pcapng, for Wireshark to read.
 *
 * A capture is a middleware: it goes around the Layer of any device, and of
 * many devices at once, which become interfaces of one file. Each packet
 * carries, as comments, what the stack told of it while it was at it: why it
 * was dropped, which states it changed.
 *
 * Times come from `Clock`: nanoseconds of real or of virtual time.
 */
import type { Device } from "@strata/core/device/Device"
import { type Middleware, wrap } from "@strata/core/device/Middleware"
import type { Packet } from "@strata/core/device/Packet"
import { Trace, type TraceDetail } from "@strata/core/Trace"
import * as Address from "@strata/core/wire/Address"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Pcapng from "./Pcapng.ts"

export interface Capture {
  /** Captures one device, as an interface of that name; the device's own name by default. */
  readonly middleware: (name?: string) => Middleware<Trace>
  /** Packets captured so far; the number Wireshark gives to the last one. */
  readonly packets: () => number
}

export interface Options {
  /** Octets kept of each packet; all by default. */
  readonly snapLength?: number | undefined
}

/** A capture that passes each block to `write`, in order and at once. */
export const make = (write: (block: Uint8Array) => void, options: Options = {}): Effect.Effect<Capture> =>
  Effect.map(Clock.Clock, (clock) => {
    const snapLength = options.snapLength ?? 0
    let interfaces = 0
    let packets = 0

    write(Pcapng.encode({ _tag: "Section", application: "strata" }))
    const middleware = (name?: string): Middleware<Trace> =>
      Effect.fnUntraced(function*(device) {
        const trace = yield* Trace
        write(Pcapng.encode({ _tag: "Interface", linkType: linkType(device), snapLength, name: name ?? device.name }))
        const recorder = new Recorder(clock, interfaces++, snapLength, (packet) => {
          packets++
          write(Pcapng.encode(packet))
        })
        yield* Effect.acquireRelease(
          Effect.sync(() => trace.listen((event) => recorder.comment(describe(event.detail)))),
          (stop) => Effect.sync(stop)
        )
        return {
          device: {
            ...device,
            transmit: (packet) => {
              const sent = recorder.record("outbound", packet)
              const taken = device.transmit(packet)
              if (!taken) sent.comments.push("dropped by device: wireFull")
              recorder.finish()
              return taken
            }
          },
          attached: (attachment) => ({
            ...attachment,
            input: (packet) => {
              recorder.during(recorder.record("inbound", packet), () => attachment.input(packet))
            }
          })
        }
      })
    return { middleware, packets: () => packets }
  })

const linkType = (device: Device): number =>
  device.framing === "ethernet" ? Pcapng.LinkType.ethernet : Pcapng.LinkType.raw

interface Recorded extends Pcapng.Packet {
  readonly comments: Array<string>
}

/** Keeps the packets of one interface in the order in which they were seen until their comments are complete. */
class Recorder {
  private readonly clock: Clock.Clock
  private readonly index: number
  private readonly snapLength: number
  private readonly write: (packet: Pcapng.Packet) => void
  private readonly pending: Array<Recorded> = []
  /** The packet that the stack is at. */
  private current: Recorded | undefined
  /** What was told before a packet of the same instant, such as the state a SYN comes from. */
  private early: { readonly time: bigint; readonly comments: Array<string> } = { time: -1n, comments: [] }

  constructor(clock: Clock.Clock, index: number, snapLength: number, write: (packet: Pcapng.Packet) => void) {
    this.clock = clock
    this.index = index
    this.snapLength = snapLength
    this.write = write
  }

  record(direction: Pcapng.Direction, packet: Packet): Recorded {
    const time = this.clock.currentTimeNanosUnsafe()
    const comments = this.early.time === time ? this.early.comments : []
    this.early = { time: -1n, comments: [] }
    const bytes = wireBytes(packet)
    const recorded: Recorded = {
      _tag: "Packet",
      interface: this.index,
      time,
      direction,
      originalLength: bytes.length,
      bytes: this.snapLength === 0 ? bytes : bytes.subarray(0, this.snapLength),
      comments
    }
    this.pending.push(recorded)
    return recorded
  }

  /** Whatever is told while `work` runs is about that packet. */
  during(packet: Recorded, work: () => void): void {
    this.current = packet
    try {
      work()
    } finally {
      this.current = undefined
      this.finish()
    }
  }

  comment(text: string | undefined): void {
    if (text === undefined) return
    if (this.current !== undefined) return void this.current.comments.push(text)
    const time = this.clock.currentTimeNanosUnsafe()
    if (this.early.time === time) this.early.comments.push(text)
    else this.early = { time, comments: [text] }
  }

  /** Writes what is pending, unless more may be told about it. */
  finish(): void {
    if (this.current !== undefined) return
    for (const packet of this.pending) this.write(packet)
    this.pending.length = 0
  }
}

/** The octets as a wire would carry them: with a checksum even where the device was to compute it. */
const wireBytes = (packet: Packet): Uint8Array => {
  const copy = packet.clone()
  copy.completeChecksum()
  return copy.toBytes()
}

const describe = (detail: TraceDetail): string | undefined => {
  switch (detail._tag) {
    case "Dropped":
      return `dropped by ${detail.layer}: ${detail.reason}`
    case "TcpState":
      return `tcp ${endpoint(detail.local)} ${endpoint(detail.remote)}: ${detail.from} to ${detail.to}`
    default:
      return undefined
  }
}

const endpoint = (self: { readonly address: number; readonly port: number }): string =>
  `${Address.formatIpv4(self.address)}:${self.port}`

/** A capture to a file; complete when the scope closes. */
export const toFile: (path: string, options?: Options) => Effect.Effect<
  Capture,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Scope.Scope
> = Effect.fnUntraced(function*(path, options) {
  const files = yield* FileSystem.FileSystem
  const file = yield* files.open(path, { flag: "w" })
  const blocks = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  const capture = yield* make((block) => Queue.offerUnsafe(blocks, block), options)
  const written = yield* Stream.fromQueue(blocks).pipe(
    Stream.runForEachArray((batch) => file.writeAll(concat(batch))),
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => Effect.andThen(Queue.end(blocks), Fiber.await(written)))
  return capture
})

const concat = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Captures the devices of a Layer. */
export const of = (capture: Capture, name?: string) => wrap(capture.middleware(name))
