/**
 * When what datagram sockets have sent leaves.
 *
 * A datagram is sent in a tick of its own, as in Node. Where it is known that more such ticks follow, the stack keeps it, and
 * several leave together: sends that follow each other, before their callbacks are called, and the answers to what arrived at
 * once. They are so few that whoever gets them works on them while the next ones are made.
 *
 * Nothing waits for the event loop. A program may be busy in between: what has waited for a millisecond leaves before the
 * next message is handed over. If the process ends in between, it leaves then.
 */
import type { Udp } from "@strata/core"

/** Datagrams that leave together at the most. */
const MOST = 16
/** Milliseconds. */
const PATIENCE = 1

export class Departure {
  readonly #udp: Udp["Service"]
  /** Ticks that are still to come. */
  #expected = 0
  /** Datagrams that the stack keeps, and since when. */
  #kept = 0
  #since = 0

  constructor(udp: Udp["Service"]) {
    this.#udp = udp
  }

  /** A tick was asked for in which something may be sent: it will call `begin`, and `end` whatever becomes of it. */
  expect(): void {
    this.#expected++
  }

  begin(): void {
    this.#expected--
  }

  end(): void {
    if (this.#kept > 0 && (this.#expected === 0 || this.#kept >= MOST)) this.#release()
  }

  /** To be called before a datagram is sent: it is kept if others may follow. */
  keep(): void {
    if (this.#kept === 0 && !this.#hold()) return
    this.#kept++
  }

  /** To be called before a program is, for as long as it likes. */
  pause(): void {
    if (this.#kept > 0 && performance.now() - this.#since > PATIENCE) this.#release()
  }

  #hold(): boolean {
    if (this.#expected === 0 || !isEndNoticed()) return false
    this.#since = performance.now()
    this.#udp.cork()
    process.on("exit", this.#release)
    return true
  }

  readonly #release = (): void => {
    this.#kept = 0
    process.removeListener("exit", this.#release)
    this.#udp.uncork()
  }
}

/** Whether one more may listen for the end of the process without a warning. */
const isEndNoticed = (): boolean => {
  const most = process.getMaxListeners()
  return most === 0 || process.listenerCount("exit") < most
}
