/**
 * The native addon: opens devices of Linux, and moves frames in batches through memory that both sides know.
 *
 * It is loaded when the first device is opened, and so is what this module
 * needs of Node: the in-memory devices work without either, in a browser too.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import {
  AddonNotBuilt,
  DeviceBusy,
  DeviceError,
  InterfaceRemoved,
  InvalidName,
  NamespaceNotFound,
  NoPermission,
  NoSuchInterface,
  NotLinux,
  NoTunDevice,
  SystemFailure
} from "./DeviceError.ts"

/** The 32-bit words of a frame's descriptor, the same in both directions. */
export const Descriptor = {
  /** Where the frame starts in its slab. */
  offset: 0,
  /** Octets there; negative for a received frame of which only that many fitted. */
  length: 1,
  /** One of core's `ChecksumState`. */
  checksum: 2,
  /** From the start of the frame. */
  checksumStart: 3,
  /** From `checksumStart`. */
  checksumOffset: 4,
  /** Payload octets per segment of a frame that stands for several, or 0. */
  segmentSize: 5,
  /** Of a frame to be sent: the first of its pieces, which follow the octets in the slab. */
  firstPiece: 6,
  /** How many pieces. */
  pieces: 7,
  /** Words per descriptor. */
  size: 8
} as const

/** The 32-bit words of a piece of a frame that is to be sent. */
export const Piece = {
  /** Its place among the buffers, or -1 for the slab. */
  buffer: 0,
  /** Where the piece starts in there. */
  offset: 1,
  /** Octets. */
  length: 2,
  /** 1 when the buffer is the same as that of the last piece which was not in the slab. */
  sameBuffer: 3,
  /** Words per piece. */
  size: 4
} as const

/** The 32-bit words that a batch leaves behind. */
export const Status = {
  /** What ended it early, or 0. */
  errno: 0,
  /** 1 when no more frames have arrived. */
  drained: 1,
  /** System calls that moved frames. */
  calls: 2,
  /** Frames that the kernel gave or took, and their octets. */
  frames: 3,
  octets: 4,
  /** Octets that the addon copied from one place to another. */
  copied: 5,
  /** Words. */
  size: 6
} as const

/** What a device is asked to do; a set of these. */
export const Wanted = {
  /** The kernel may do it. */
  vnet: 1,
  checksum: 2,
  tcp: 4,
  udp: 8,
  /** The kernel may receive what is sent in a thread of its own. */
  thread: 16
} as const

/** What a kernel does for a device; a set of these. */
export const Capability = {
  vnet: 1,
  checksum: 2,
  tcp4: 4,
  tcp6: 8,
  tcpEcn: 16,
  udp4: 32,
  udp6: 64,
  /** It receives in a thread of its own when it is asked to (`setThread`). */
  thread: 128
} as const

/** What an event loop says about a descriptor; also what it is asked to watch for. */
export const Readiness = { readable: 1, writable: 2 } as const

/** An open device. */
export interface NativeDevice {
  /** Of the interface. */
  readonly name: () => string
  /** Octets without the link header. */
  readonly mtu: () => number
  /** Unsigned 48-bit integer. */
  readonly hardwareAddress: () => number
  /** What the kernel has agreed to do: a set of `Capability`. */
  readonly capabilities: () => number
  /**
   * Tells the device which memory to use. Received frames are laid into their slab one behind the other, as long as
   * `slotSize` octets are free. Frames to be sent start in theirs and go on in `pieces`, which refer to `buffers`. What
   * became of a batch is in `status`. `onEvents` is called on Node's event loop with a set of `Readiness`, or with a
   * negative number when the descriptor is in trouble; after that it must be asked to watch again.
   */
  readonly start: (
    received: Uint8Array,
    receivedDescriptors: Int32Array,
    slotSize: number,
    transmitted: Uint8Array,
    transmittedDescriptors: Int32Array,
    pieces: Int32Array,
    buffers: ReadonlyArray<Uint8Array | undefined>,
    status: Int32Array,
    onEvents: (events: number) => void
  ) => void
  /** Asks for a set of `Readiness`; the event loop stays alive until the device is closed. */
  readonly watch: (events: number) => void
  /** Reads up to `max` frames and returns how many there were. */
  readonly readBatch: (max: number) => number
  /**
   * Writes `count` frames from the descriptor `first` on and returns how many were taken. Where one was not with EAGAIN
   * or ENOBUFS, the next call begins with it.
   */
  readonly writeBatch: (first: number, count: number) => number
  /**
   * Has the kernel receive what is sent in a thread of its own from soon on, or not; false where that is not to be had, and
   * from when on somebody else has turned the same switch.
   */
  readonly setThread: (on: boolean) => boolean
  /** Releases everything; may be called at any time and again. */
  readonly close: () => void
}

/** Throws errors with the properties `step`, `errno` and `detail`. A namespace is a path, or empty for one's own. */
export interface Addon {
  /** Throws what `open` makes a reason of. */
  readonly openTap: (name: string, namespace: string, wanted: number) => NativeDevice
  /** The same for an interface that exists. */
  readonly openPacketSocket: (name: string, namespace: string, wanted: number) => NativeDevice
  readonly testing?: Testing
}

/** A frame as the addon makes it. */
export interface TestedFrame {
  readonly bytes: Uint8Array
  /** Octets of payload per segment, or 0 when it is one. */
  readonly segmentSize: number
}

/** What is known of a frame that has arrived; the words of its descriptor. */
export interface TestedArrival {
  readonly checksum: number
  readonly checksumStart: number
  readonly checksumOffset: number
  readonly segmentSize: number
}

/** The pure functions of the addon, for tests. Frames start with an Ethernet header. */
export interface Testing {
  /** The running sum of RFC 1071; portable, or by what the processor has. */
  readonly checksum: (bytes: Uint8Array, portable: boolean) => number
  /** A frame with its checksum, whose field held the sum of the pseudo-header. */
  readonly complete: (
    linear: Uint8Array,
    pieces: ReadonlyArray<Uint8Array>,
    checksumStart: number,
    checksumOffset: number
  ) => Uint8Array
  /** The frames that a large TCP segment is cut into, without the first `skipped`; none when it needs not be cut. */
  readonly cut: (
    linear: Uint8Array,
    pieces: ReadonlyArray<Uint8Array>,
    checksumStart: number,
    segmentSize: number,
    skipped: number
  ) => ReadonlyArray<Uint8Array>
  /** What received frames are joined into; `known` has what is known of the first of them. */
  readonly coalesce: (
    frames: ReadonlyArray<Uint8Array>,
    known: ReadonlyArray<TestedArrival>
  ) => ReadonlyArray<TestedFrame & { readonly checksum: number }>
  /** What UDP datagrams with partial checksums are joined into on the way out. */
  readonly join: (frames: ReadonlyArray<Uint8Array>) => ReadonlyArray<TestedFrame>
}

/** Finds and loads the addon. */
export interface Loader {
  readonly platform: string
  /** Throws when the addon is not there. */
  readonly load: () => Addon
}

/** Where the addon comes from; tests put their own here. */
export const Native = Context.Reference<Loader>("@strata/drivers/Native", {
  defaultValue: () => ({ platform: process.platform, load })
})

/** Where `binding.gyp` is, from here: at the top of the published package, and of the repository. */
const TOPS = ["..", "../../.."]

const NOT_RUN = "its install script has not run, and npm 12 wants `npm install-scripts approve @strata/drivers` first"

const load = (): Addon => {
  const { existsSync } = process.getBuiltinModule("node:fs")
  const { createRequire } = process.getBuiltinModule("node:module")
  const { fileURLToPath } = process.getBuiltinModule("node:url")
  const from = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  const top = TOPS.find((path) => existsSync(from(`${path}/binding.gyp`))) ?? ".."
  const path = from(`${top}/build/Release/strata.node`)
  if (existsSync(path)) return createRequire(import.meta.url)(path) as Addon
  const log = from(`${top}/build/native.log`)
  throw new Error(existsSync(log) ? `see ${log}` : `there is no ${path}: ${NOT_RUN}`)
}

/** The numbers of Linux that mean something for the user. */
const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ENXIO: 6,
  EACCES: 13,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EBADFD: 77,
  EMEDIUMTYPE: 124
} as const

const reasonOf = (device: string, namespace: string, cause: unknown): DeviceError["reason"] => {
  const { step = "open", errno = 0, detail = String(cause) } = cause as Partial<
    { readonly step: string; readonly errno: number; readonly detail: string }
  >
  if (errno === Errno.EPERM || errno === Errno.EACCES) return new NoPermission({ device, step })
  if (errno === Errno.EBUSY) return new DeviceBusy({ device })
  if (step === "open namespace" || (step === "enter namespace" && errno === Errno.EINVAL)) {
    return new NamespaceNotFound({ device, namespace })
  }
  if (step === "open /dev/net/tun" && (errno === Errno.ENOENT || errno === Errno.ENODEV || errno === Errno.ENXIO)) {
    return new NoTunDevice({ device })
  }
  if (step === "attach TAP" && errno === Errno.EINVAL) {
    return new InvalidName({ device, detail: "it exists and is not a TAP interface" })
  }
  if (errno === Errno.EMEDIUMTYPE) return new InvalidName({ device, detail: "it is not an Ethernet interface" })
  if (errno === Errno.ENODEV) return new NoSuchInterface({ device })
  return new SystemFailure({ device, step, detail })
}

const describeErrno = (errno: number): string =>
  process.getBuiltinModule("node:util").getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`

/** Why an open device can be read no more; `errno` is what reading ended with. */
export const lossOf = (device: string, errno: number): DeviceError => {
  const removed = errno === Errno.EBADFD || errno === Errno.ENODEV || errno === Errno.ENXIO
  const reason = removed
    ? new InterfaceRemoved({ device })
    : new SystemFailure({ device, step: "read", detail: describeErrno(errno) })
  return new DeviceError({ reason })
}

/** Told of a device that the kernel has taken away, once it is down; by default it is logged. */
export const OnLost = Context.Reference<(error: DeviceError) => Effect.Effect<void>>("@strata/drivers/OnLost", {
  defaultValue: () => (error) => Effect.logError(error.message)
})

/** A name that Linux takes for an interface: 1 to 15 printable octets. */
const INTERFACE_NAME = /^(?!\.{1,2}$)[!-~]{1,15}$/
const FORBIDDEN = /[/:%]/

/** What opens a device. */
export type Opener = "openTap" | "openPacketSocket"

/** Opens a device by the addon; a namespace is a path, or a name as `ip netns` knows it; `wanted` is a set of `Wanted`. */
export const open: (
  opener: Opener,
  device: string,
  namespace?: string,
  wanted?: number
) => Effect.Effect<NativeDevice, DeviceError> = Effect.fnUntraced(function*(
  opener,
  device,
  namespace = "",
  wanted = 0
) {
  const loader = yield* Native
  if (loader.platform !== "linux") {
    return yield* new DeviceError({ reason: new NotLinux({ device, platform: loader.platform }) })
  }
  if (!INTERFACE_NAME.test(device) || FORBIDDEN.test(device)) {
    const detail = "a name of an interface has 1 to 15 characters, without spaces, slashes, colons and percent signs"
    return yield* new DeviceError({ reason: new InvalidName({ device, detail }) })
  }
  const addon = yield* Effect.try({
    try: loader.load,
    catch: (cause) =>
      new DeviceError({
        reason: new AddonNotBuilt({ device, detail: cause instanceof Error ? cause.message : String(cause) })
      })
  })
  const path = namespace === "" || namespace.includes("/") ? namespace : `/var/run/netns/${namespace}`
  return yield* Effect.try({
    try: () => addon[opener](device, path, wanted),
    catch: (cause) => new DeviceError({ reason: reasonOf(device, namespace, cause) })
  })
})
