/**
 * How long something was waiting to be sent or acknowledged, and what kept it from going faster.
 *
 * Linux measures the same (`tcpi_busy_time`, `tcpi_rwnd_limited`, `tcpi_sndbuf_limited`). It is looked at once per turn, after
 * what may be sent was sent.
 */
import type { ControlBlock } from "./ControlBlock.ts"
import * as SendWindow from "./SendWindow.ts"
import * as Transmissions from "./Transmissions.ts"

/**
 * - `idle`: everything written is acknowledged;
 * - `receiveWindow`: there is text that the congestion window would let go, and the peer's window does not;
 * - `sendBuffer`: all text is on its way, the congestion window leaves room, and the program waits for space to write more;
 * - `network`: anything else, such as the congestion window, or the round trip itself.
 */
export type Limit = "idle" | "network" | "receiveWindow" | "sendBuffer"

/** `queued` octets are in the send buffer, sent or not; `isWaiting` when writes wait for room in it. */
export const limitOf = (tcb: ControlBlock, queued: number, isWaiting: boolean): Limit => {
  const { snd, transmissions } = tcb
  if (queued === 0 && Transmissions.outstanding(transmissions) === 0) return "idle"
  const sent = SendWindow.flight(snd)
  const unsent = queued - sent
  const next = Math.min(unsent, snd.mss)
  if (SendWindow.allowance(tcb) < Math.max(next, 1)) return "network"
  if (unsent > 0 && snd.wnd - sent < next) return "receiveWindow"
  return unsent < snd.mss && isWaiting ? "sendBuffer" : "network"
}

export class Chronograph {
  private limit: Limit = "idle"
  private since = 0
  // Milliseconds; what is idle is not counted.
  private network = 0
  private receiveWindow = 0
  private sendBuffer = 0

  /** From `now` on, in milliseconds, `limit` is what holds. */
  note(limit: Limit, now: number): void {
    if (limit === this.limit) return
    const passed = now - this.since
    switch (this.limit) {
      case "network":
        this.network += passed
        break
      case "receiveWindow":
        this.receiveWindow += passed
        break
      case "sendBuffer":
        this.sendBuffer += passed
        break
    }
    this.limit = limit
    this.since = now
  }

  /** Milliseconds spent so until `now`. */
  spent(limit: Exclude<Limit, "idle">, now: number): number {
    return this[limit] + (limit === this.limit ? now - this.since : 0)
  }

  /** Milliseconds until `now` in which anything was to be sent or acknowledged. */
  busy(now: number): number {
    return this.spent("network", now) + this.spent("receiveWindow", now) + this.spent("sendBuffer", now)
  }
}
