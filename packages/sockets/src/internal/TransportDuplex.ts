/**
 * A transport as a stream of Node, and a stream of Node as a transport: TLS of Node stands on the one and gives the other.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Duplex } from "node:stream"
import { type Chunks, isEnd, type Transport } from "./Transport.ts"

/** Starts an Effect beside. */
export type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

type Done = (error?: Error | null) => void

/** How long the last words of TLS may take before the transport below is closed. */
const FAREWELL = "1 second"

const toError = (cause: unknown): Error => cause instanceof Error ? cause : new Error(String(cause), { cause })

export class TransportDuplex extends Duplex {
  private readonly transport: Transport
  private readonly run: Run
  private reading = false

  constructor(transport: Transport, run: Run) {
    super({ allowHalfOpen: true })
    this.transport = transport
    this.run = run
  }

  override _read(): void {
    if (this.reading) return
    this.reading = true
    this.run(Effect.match(this.transport.read, {
      onSuccess: (chunks) => {
        this.reading = false
        for (const chunk of chunks) this.push(chunk)
      },
      onFailure: (failure) => {
        if (isEnd(failure)) this.push(null)
        else this.destroy(toError(failure))
      }
    }))
  }

  override _write(chunk: Uint8Array, _: string, done: Done): void {
    this.settle(this.transport.write(chunk), done)
  }

  override _final(done: Done): void {
    this.settle(this.transport.end, done)
  }

  override _destroy(error: Error | null, done: Done): void {
    this.settle(this.transport.close, () => done(error))
  }

  private settle(effect: Effect.Effect<void, unknown>, done: Done): void {
    this.run(Effect.match(effect, { onSuccess: () => done(), onFailure: (cause) => done(toError(cause)) }))
  }
}

/** `above` stands on `below`. It must not have been read, and has somebody who hears its errors from here on. */
export const transportOf = (above: Duplex, below: Duplex): Transport => {
  let failure: Error | undefined
  let ended = false
  let waiting: (() => void) | undefined
  const look = () => waiting?.()
  const end = () => {
    ended = true
    look()
  }
  above.on("readable", look)
  above.on("end", end)
  above.on("close", end)
  above.on("error", (error: Error) => {
    failure ??= error
    look()
  })

  const outcome = (): Effect.Effect<Chunks, unknown> | undefined => {
    const chunk = above.destroyed ? null : above.read() as Uint8Array | null
    if (chunk !== null) return Effect.succeed([chunk])
    if (failure !== undefined) return Effect.fail(failure)
    return ended ? Cause.done() : undefined
  }
  const read = Effect.callback<Chunks, unknown>((resume) => {
    const settle = () => {
      const now = outcome()
      if (now === undefined) return
      waiting = undefined
      resume(now)
    }
    waiting = settle
    settle()
    return Effect.sync(() => {
      waiting = undefined
    })
  })
  const closed = Effect.callback<void>((resume) => {
    if (below.closed) return resume(Effect.void)
    below.once("close", () => resume(Effect.void))
    above.end(() => {
      above.destroy()
      below.end(() => below.destroy())
    })
  })

  return {
    read,
    write: (bytes) =>
      Effect.callback((resume) => {
        above.write(bytes, (error) => resume(error ? Effect.fail(error) : Effect.void))
      }),
    end: Effect.sync(() => void above.end()),
    close: closed.pipe(
      Effect.timeoutOption(FAREWELL),
      Effect.andThen(Effect.sync(() => {
        above.destroy()
        below.destroy()
        end()
      }))
    )
  }
}
