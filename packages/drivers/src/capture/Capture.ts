/**
 * Writes what passes a device as pcapng, for Wireshark to read.
 *
 * A capture is a middleware: it goes around the Layer of any device, and of
 * many devices at once, which become interfaces of one file. Each packet
 * carries, as comments, what the stack told of it while it was at it: why it
 * was dropped, which states it changed.
 *
 * Packets are written as the stack and its device hand them to each other: where
 * a device cuts and joins segments they have up to 64 KiB, as in a capture of
 * tcpdump on a host with segmentation offload.
 *
 * Times come from `Clock`: nanoseconds of real or of virtual time.
 */
import type { Device } from "@strata/core/device/Device"
import type { Attachment } from "@strata/core/device/Devices"
import { type Middleware, wrap } from "@strata/core/device/Middleware"
import { ChecksumState, type Packet } from "@strata/core/device/Packet"
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

/** A capture that is running. */
export interface Capture {
  /** Captures one device, as an interface of that name; the device's own name by default. */
  readonly middleware: (name?: string) => Middleware<Trace>
  /** Packets captured so far; the number Wireshark gives to the last one. */
  readonly packets: () => number
}

/** Of a capture. */
export interface Options {
  /** Octets kept of each packet; all by default. */
  readonly snapLength?: number | undefined
}

/** A capture that passes each block to `write`, in order and at once. */
export const make = (write: (block: Uint8Array) => void, options: Options = {}): Effect.Effect<Capture> =>
  Effect.map(Clock.Clock, (clock) => {
    const snapLength = options.snapLength ?? 0
    const allocate = makeAllocate()
    const recorder = new Recorder(clock, snapLength, (packet) => write(Pcapng.encodeIn(allocate, packet)))
    const stacks = new Map<Trace["Service"], Stack>()
    let interfaces = 0

    /** Listens to a stack as long as one of its devices is captured. */
    const listen = (trace: Trace["Service"]): Effect.Effect<Stack, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => {
          let stack = stacks.get(trace)
          if (stack === undefined) {
            const told = new Told()
            const stop = trace.listen(({ detail }) => {
              const comment = describe(detail)
              if (comment !== undefined) recorder.comment(told, comment)
            }, "events")
            stack = { told, stop, devices: 0 }
            stacks.set(trace, stack)
          }
          stack.devices++
          return stack
        }),
        (stack) =>
          Effect.sync(() => {
            if (--stack.devices > 0) return
            stack.stop()
            stacks.delete(trace)
          })
      )

    write(Pcapng.encode({ _tag: "Section", application: "strata" }))
    const middleware = (name?: string): Middleware<Trace> =>
      Effect.fnUntraced(function*(device) {
        const { told } = yield* listen(yield* Trace)
        const index = interfaces++
        write(Pcapng.encode({ _tag: "Interface", linkType: linkType(device), snapLength, name: name ?? device.name }))
        return {
          device: {
            ...device,
            transmit: (packet) => {
              const sent = recorder.record(index, "outbound", packet, told)
              const taken = device.transmit(packet)
              if (!taken) sent.comments.push("dropped by device: wireFull")
              recorder.finish()
              return taken
            }
          },
          attached: (attachment) => ({
            ...attachment,
            input: (packet) => recorder.input(index, packet, told, attachment)
          })
        }
      })
    return { middleware, packets: () => recorder.written }
  })

const linkType = (device: Device): number =>
  device.framing === "ethernet" ? Pcapng.LinkType.ethernet : Pcapng.LinkType.raw

interface Recorded extends Pcapng.Packet {
  readonly comments: Array<string>
}

interface Stack {
  readonly told: Told
  readonly stop: () => void
  devices: number
}

const NOTHING: ReadonlyArray<string> = []

/** What a stack told before a packet of the same instant, such as the state a SYN comes from. */
class Told {
  private time = -1n
  private comments: Array<string> = []

  add(comment: string, time: bigint): void {
    if (this.time !== time) this.comments = []
    this.time = time
    this.comments.push(comment)
  }

  take(time: bigint): ReadonlyArray<string> {
    if (this.time === -1n) return NOTHING
    const comments = this.time === time ? this.comments : NOTHING
    this.time = -1n
    this.comments = []
    return comments
  }
}

/** Octets of memory that are asked for at once: much of the cost of a small block would be to ask for it. */
const SLAB = 65_536

const makeAllocate = (): Pcapng.Allocate => {
  let slab = new Uint8Array(0)
  let used = 0
  return (length) => {
    if (length > SLAB / 4) return new Uint8Array(length)
    if (used + length > slab.length) {
      slab = new Uint8Array(SLAB)
      used = 0
    }
    used += length
    return slab.subarray(used - length, used)
  }
}

/** Octets that are kept for a while, and forgotten all at once. */
class Scratch {
  private bytes = new Uint8Array(SLAB)
  private used = 0

  /** The octets of a packet as a wire would carry them: with a checksum even where the device was to compute it. */
  keep(packet: Packet): Uint8Array {
    if (packet.checksum === ChecksumState.partial) {
      const copy = packet.clone()
      copy.completeChecksum()
      return copy.toBytes()
    }
    // Who has a part of the old octets still has them.
    if (this.used + packet.length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(SLAB, packet.length))
      this.used = 0
    }
    const from = this.used
    this.used += packet.copyTo(this.bytes, from)
    return this.bytes.subarray(from, this.used)
  }

  forget(): void {
    this.used = 0
  }
}

/** Keeps packets in the order in which they were seen until their comments are complete. */
class Recorder {
  written = 0
  private readonly clock: Clock.Clock
  private readonly snapLength: number
  private readonly write: (packet: Pcapng.Packet) => void
  private readonly pending: Array<Recorded> = []
  private readonly scratch = new Scratch()
  /** The packet that a stack is at. */
  private current: Recorded | undefined

  constructor(clock: Clock.Clock, snapLength: number, write: (packet: Pcapng.Packet) => void) {
    this.clock = clock
    this.snapLength = snapLength
    this.write = write
  }

  record(index: number, direction: Pcapng.Direction, packet: Packet, told: Told): Recorded {
    const time = this.clock.currentTimeNanosUnsafe()
    const bytes = this.scratch.keep(packet)
    const recorded: Recorded = {
      _tag: "Packet",
      interface: index,
      time,
      direction,
      originalLength: bytes.length,
      bytes: this.snapLength === 0 ? bytes : bytes.subarray(0, this.snapLength),
      comments: [...told.take(time)]
    }
    this.pending.push(recorded)
    return recorded
  }

  /** Passes a packet up; whatever is told meanwhile is about it. */
  input(index: number, packet: Packet, told: Told, attachment: Attachment): void {
    const outer = this.current
    this.current = this.record(index, "inbound", packet, told)
    try {
      attachment.input(packet)
    } finally {
      this.current = outer
      this.finish()
    }
  }

  comment(told: Told, text: string): void {
    if (this.current !== undefined) this.current.comments.push(text)
    else told.add(text, this.clock.currentTimeNanosUnsafe())
  }

  /** Writes what is pending, unless more may be told about it. */
  finish(): void {
    if (this.current !== undefined) return
    for (const packet of this.pending) {
      this.written++
      this.write(packet)
    }
    this.pending.length = 0
    this.scratch.forget()
  }
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

/**
 * A capture, and the pcapng file it makes as a Stream, for one reader. The Stream ends with the scope; what is captured before it is run
 * is kept for it.
 */
export const toStream: (options?: Options) => Effect.Effect<
  { readonly capture: Capture; readonly stream: Stream.Stream<Uint8Array> },
  never,
  Scope.Scope
> = Effect.fnUntraced(function*(options) {
  const blocks = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  const capture = yield* make((block) => Queue.offerUnsafe(blocks, block), options)
  yield* Effect.addFinalizer(() => Queue.end(blocks))
  return { capture, stream: Stream.fromQueue(blocks) }
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
export const of = (capture: Capture, name?: string): ReturnType<typeof wrap<Trace>> => wrap(capture.middleware(name))
