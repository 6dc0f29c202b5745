/**
 * One life of a socket: from the moment its reader is acquired until it is released.
 *
 * Why it ended is said once, and the same from then on. What had arrived before the peer's end is read first.
 */
import * as Effect from "effect/Effect"
import { type CloseEvent, type SocketError, SocketUpgradeError, type TlsUpgradeOptions } from "effect/socket/Socket"
import * as Errors from "./SocketErrors.ts"
import { type Chunks, isEnd, type Role, type Transport, type Upgrade } from "./Transport.ts"

export interface Options {
  readonly chunkSize?: number | undefined
  readonly allowHalfOpen?: boolean | undefined
  /** Whether it speaks TLS already. */
  readonly encrypted?: boolean | undefined
}

const DEFAULT_CHUNKS = 4096
/** Octets up to which a batch of chunks is copied into one, so that it leaves in as few segments as it needs. */
const JOINED = 65_536

const encoder = new TextEncoder()
const toBytes = (chunk: Uint8Array | string): Uint8Array => typeof chunk === "string" ? encoder.encode(chunk) : chunk

const alreadyEncrypted = Errors.upgradeFailed(new Error("socket is already upgraded or closed"))

/** That the peer has written all is no failure, and who read it is in nobody's way: one for all, without two stacks for each connection. */
const ended = Errors.closedWith(Errors.NORMAL)

export class LiveSocket {
  private transport: Transport
  private readonly chunkSize: number
  private readonly allowHalfOpen: boolean
  /** What `pull` does where nothing is left over. */
  private reading: Effect.Effect<Chunks, SocketError> | undefined = undefined
  private over: SocketError | undefined = undefined
  /** Chunks beyond those that the last pull could have. */
  private rest: Array<Uint8Array> = []
  private upgradable: boolean

  constructor(transport: Transport, { allowHalfOpen = false, chunkSize, encrypted = false }: Options) {
    this.transport = transport
    this.upgradable = !encrypted
    this.allowHalfOpen = allowHalfOpen
    const valid = chunkSize === Infinity || (Number.isSafeInteger(chunkSize) && chunkSize! > 0)
    this.chunkSize = valid ? chunkSize! : DEFAULT_CHUNKS
  }

  readonly pull: Effect.Effect<Chunks, SocketError> = Effect.suspend(() => {
    if (this.over !== undefined) return Effect.fail(this.over)
    if (this.rest.length > 0) return Effect.succeed(this.batch(this.rest))
    return this.reading ??= this.readingOf(this.transport)
  })

  /** Writes at once what fits, and makes an Effect only of what does not: for who is about to run it. */
  write(chunk: Uint8Array | string): Effect.Effect<void, SocketError> {
    const bytes = toBytes(chunk)
    if (this.transport.offer?.(bytes) === true) return Effect.void
    return Effect.mapError(this.transport.write(bytes), Errors.writeFailed)
  }

  writeAll(chunks: ReadonlyArray<Uint8Array | string>): Effect.Effect<void, SocketError> {
    if (chunks.length === 1) return this.write(chunks[0]!)
    const all = chunks.map(toBytes)
    const length = all.reduce((sum, bytes) => sum + bytes.length, 0)
    if (length <= JOINED) return this.write(join(all, length))
    return Effect.forEach(all, (bytes) => this.write(bytes), { discard: true })
  }

  /** The half-close of a writer that is released. */
  get end(): Effect.Effect<void> {
    return this.transport.end
  }

  /** Closes it as the program says. What the code is stays here: TCP has no way to tell it to the peer. */
  leave({ code }: CloseEvent): Effect.Effect<void> {
    return this.close(() =>
      code > Errors.NORMAL
        ? Errors.readFailed(new Error(`closed with code ${code}`))
        : Errors.closedWith(Errors.NORMAL)
    )
  }

  /** Closes it, and lets a pull that waits fail with `reason`, which is made only where nothing ended it before: two errors and their stacks. */
  close(reason: () => SocketError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.over ??= reason()
      this.rest = []
      this.upgradable = false
      return this.transport.close
    })
  }

  /** Goes on in TLS, or closes the connection when that fails; without `upgrade` it cannot. */
  upgrade(upgrade: Upgrade | undefined, role: Role, options: TlsUpgradeOptions): Effect.Effect<void, SocketError> {
    return Effect.suspend(() => {
      if (!this.upgradable) return Effect.fail(alreadyEncrypted)
      if (upgrade === undefined) return SocketUpgradeError.unsupported()
      const missing = missingIdentity(role, options)
      if (missing !== undefined) return Effect.fail(Errors.upgradeFailed(new Error(missing)))
      this.upgradable = false
      return upgrade(this.transport, role, options).pipe(
        Effect.mapError(Errors.upgradeFailed),
        Effect.tapError((error) => this.close(() => error)),
        Effect.onInterrupt(() => this.close(() => Errors.closedWith(Errors.ABNORMAL))),
        Effect.map((transport) => {
          this.transport = transport
          this.reading = undefined
        })
      )
    })
  }

  private readingOf({ read }: Transport): Effect.Effect<Chunks, SocketError> {
    return Effect.map(read, (chunks) => chunks.length <= this.chunkSize ? chunks : this.batch([...chunks])).pipe(
      Effect.catch((failure) => Effect.andThen(this.ended(failure), Effect.suspend(() => Effect.fail(this.over!))))
    )
  }

  /** The first `chunkSize` of the chunks, of which the others are kept. */
  private batch(chunks: Array<Uint8Array>): Chunks {
    this.rest = chunks.splice(this.chunkSize)
    return chunks as unknown as Chunks
  }

  private ended(failure: unknown): Effect.Effect<void> {
    if (this.over !== undefined) return Effect.void
    if (!isEnd(failure)) {
      this.over = Errors.readFailed(failure)
      return Effect.void
    }
    this.over = ended
    // Not at once: a program may answer what it has read to the end, as it may with `node:net`.
    return this.allowHalfOpen ? Effect.void : Effect.asVoid(Effect.forkDetach(this.transport.end))
  }
}

/** A client may have an identity, a server must. */
const missingIdentity = (role: Role, { cert, key }: TlsUpgradeOptions): string | undefined => {
  const [hasKey, hasCert] = [key !== undefined, cert !== undefined]
  if (role._tag === "server" && !(hasKey && hasCert)) return "server TLS upgrade requires both key and cert"
  return hasKey === hasCert ? undefined : "TLS upgrade credentials must include both key and cert"
}

const join = (all: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const joined = new Uint8Array(length)
  let at = 0
  for (const bytes of all) {
    joined.set(bytes, at)
    at += bytes.length
  }
  return joined
}
