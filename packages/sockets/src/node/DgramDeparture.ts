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
  /** Whether it will be told when the process ends; nothing is kept where it is not. */
  #isEndNoticed = false

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

  /** The end of the adapter. */
  close(): void {
    if (this.#kept > 0) this.#release()
    process.removeListener("exit", this.#leave)
  }

  #hold(): boolean {
    if (this.#expected === 0 || !this.#noticeEnd()) return false
    this.#since = performance.now()
    this.#udp.cork()
    return true
  }

  #release(): void {
    this.#kept = 0
    this.#udp.uncork()
  }

  #noticeEnd(): boolean {
    if (!this.#isEndNoticed && isRoomForListener()) {
      this.#isEndNoticed = true
      process.on("exit", this.#leave)
    }
    return this.#isEndNoticed
  }

  readonly #leave = (): void => {
    if (this.#kept > 0) this.#release()
  }
}

/** Beyond a number of listeners there is a warning; half of them are the program's. */
const isRoomForListener = (): boolean => {
  const most = process.getMaxListeners()
  return most === 0 || process.listenerCount("exit") * 2 < most
}
