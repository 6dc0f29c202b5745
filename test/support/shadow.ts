/**
 * The machine of RFC 9293 with the steady path beside it: whatever that takes in place is compared with what the machine makes of it.
 *
 * It does for each control block what a connection's shell does. A value from which two ways lead on has a shadow on the first one only,
 * and on the second begins a new one.
 */
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { own, type Owned, takeOver } from "@strata/core/tcp/Ownership"
import { isSteady, SteadyPath } from "@strata/core/tcp/steady/SteadyPath"
import { type Emission, type Outcome, rfc9293, type TcpMachine } from "@strata/core/tcp/TcpMachine"
import type { Transmissions } from "@strata/core/tcp/Transmissions"
import { isDeepStrictEqual } from "node:util"
import { assert } from "vitest"

/** What a scoreboard says, however it is kept. */
const scoreboard = ({ board, edge, end, first, highest, last, lost, nxt, queue, sacked, una }: Transmissions) => ({
  una,
  nxt,
  edge,
  highest,
  sacked,
  lost,
  board,
  queue: queue.slice(first, end),
  last
})

const told = (tcb: ControlBlock) => ({ ...tcb, transmissions: scoreboard(tcb.transmissions) })

/** Fields that are absent, or undefined, say the same. */
const fields = (emission: Emission | undefined) =>
  emission === undefined ? undefined : JSON.parse(JSON.stringify({ segmentSize: 0, ...emission }))

/** A machine, how many segments its shadow took in place and made, and where the two were not of one mind. */
export interface Shadowed {
  readonly machine: TcpMachine["Service"]
  readonly taken: () => number
  readonly sent: () => number
  readonly differences: ReadonlyArray<unknown>
}

/** Connections, unlike values, change their control blocks meanwhile, so that a shadow lasts for one event only. */
export const shadowed = (isValue: boolean): Shadowed => {
  const steady = new SteadyPath()
  const shadows = new WeakMap<ControlBlock, Owned>()
  const differences: Array<unknown> = []
  let taken = 0
  let sent = 0

  const same = (actual: unknown, expected: unknown, event: string): void => {
    if (isDeepStrictEqual(actual, expected)) return
    differences.push({ event, actual, expected })
    assert.deepEqual(actual, expected, event)
  }
  const equal = (shadow: ControlBlock, tcb: ControlBlock, event: string): void =>
    same(told(shadow), told(tcb), `${event}: the steady path`)

  const shadowOf = (tcb: ControlBlock): Owned => {
    const shadow = isValue ? shadows.get(tcb) : undefined
    shadows.delete(tcb)
    return shadow ?? own(tcb)
  }
  const follow = (shadow: Owned, tcb: ControlBlock): void => {
    takeOver(shadow, own(tcb))
    shadows.set(tcb, shadow)
  }

  const compared = (shadow: Owned, outcome: Outcome, steadily: ReturnType<SteadyPath["arrives"]>): void => {
    const { acknowledged, reopens, reply, tcb, textLength, textOffset, textSkip } = outcome
    const result = { acknowledged, textLength, textSkip: 0, textOffset: 0, reopens: false, reply: fields(reply) }
    const { acknowledged: freed, received, reply: answer } = steadily!
    same(
      { ...result, acknowledged: freed, textLength: received, reply: fields(answer) },
      { ...result, textSkip, textOffset, reopens },
      "what the steady path told of a segment"
    )
    equal(shadow, tcb, "a segment arrives")
    shadows.set(tcb, shadow)
    taken++
  }

  const machine: TcpMachine["Service"] = {
    ...rfc9293,
    arrives: (tcb, segment, now) => {
      const shadow = shadowOf(tcb)
      const steadily = steady.arrives(shadow, segment, now)
      const outcome = rfc9293.arrives(tcb, segment, now)
      if (steadily === undefined) follow(shadow, outcome.tcb)
      else compared(shadow, outcome, steadily)
      return outcome
    },
    output: (tcb, queued, now, limit = tcb.snd.mss) => {
      const shadow = shadowOf(tcb)
      const isInPlace = isSteady(shadow, queued, now)
      const steadily = isInPlace ? fields(steady.output(shadow, queued, now, limit)) : undefined
      const next = rfc9293.output(tcb, queued, now, limit)
      if (isInPlace) {
        same(steadily, fields(next?.segment), "what the steady path sends")
        equal(shadow, next?.tcb ?? tcb, "a segment leaves")
        shadows.set(next?.tcb ?? tcb, shadow)
        if (next !== undefined) sent++
      } else follow(shadow, next?.tcb ?? tcb)
      return next
    },
    consumed: (tcb, octets, now) => {
      const shadow = shadowOf(tcb)
      steady.consumed(shadow, octets, now)
      const next = rfc9293.consumed(tcb, octets, now)
      equal(shadow, next, "text is read")
      shadows.set(next, shadow)
      return next
    },
    elapse: (tcb, queued, now) => {
      const shadow = shadowOf(tcb)
      const next = rfc9293.elapse(tcb, queued, now)
      follow(shadow, next)
      return next
    }
  }
  return { machine, taken: () => taken, sent: () => sent, differences }
}

/** One for all, where nobody asks how often. */
export const { machine } = shadowed(true)
