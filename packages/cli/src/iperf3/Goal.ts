/**
 * Octets or blocks after which a test is over, counted over all streams of a direction.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Parameters } from "./Parameters.ts"

export class Goal {
  /** Reached: senders send no more. */
  over = false
  private readonly bytes: number
  private readonly blocks: number
  private sent = { bytes: 0, blocks: 0 }
  private received = { bytes: 0, blocks: 0 }
  private begun = false
  private readonly deferred = Deferred.makeUnsafe<void>()

  /** `Infinity` where there is no such end. */
  constructor(bytes: number, blocks: number) {
    this.bytes = bytes
    this.blocks = blocks
  }

  /** Waits until it is reached in one of the directions. */
  get reached(): Effect.Effect<void> {
    return Deferred.await(this.deferred)
  }

  noteSent(bytes: number, blocks: number): void {
    this.sent.bytes += bytes
    this.sent.blocks += blocks
    this.look(this.sent)
  }

  noteReceived(bytes: number, blocks: number): void {
    this.received.bytes += bytes
    this.received.blocks += blocks
    this.look(this.received)
  }

  /** What counts begins: nothing that was before does. */
  begin(): void {
    this.begun = true
    this.sent = { bytes: 0, blocks: 0 }
    this.received = { bytes: 0, blocks: 0 }
  }

  private look({ blocks, bytes }: { readonly bytes: number; readonly blocks: number }): void {
    if (!this.begun || this.over || (bytes < this.bytes && blocks < this.blocks)) return
    this.over = true
    Deferred.doneUnsafe(this.deferred, Effect.void)
  }
}

const orNever = (value: number): number => value === 0 ? Infinity : value

/** That of the parameters; one that is never reached when time says when the test ends. */
export const make = ({ blocks, bytes }: Parameters): Goal => new Goal(orNever(bytes), orNever(blocks))
