import { expect, it } from "@effect/vitest"
import type { ControlBlock } from "@strata/core/tcp/ControlBlock"
import { type PendingWrite, WriteQueue } from "@strata/core/tcp/WriteQueue"

/** All that a queue asks of a control block: nothing is under way, and so much may wait to be sent. */
const unsent = (notSentLowWater: number) =>
  ({ settings: { notSentLowWater }, snd: { una: 0, nxt: 0, mss: 1 } }) as ControlBlock

const pending = (octets: number, settle = (): void => {}): PendingWrite => ({
  bytes: new Uint8Array(octets),
  at: 0,
  settle
})

it("what is offered does not overtake a write that waits, even where it would fit", () => {
  const tcb = unsent(Infinity)
  const queue = new WriteQueue({ initial: 1000, maximum: 1000 }, false)
  let settled = 0
  expect(queue.add(pending(1500, () => settled++), tcb)).toBe(false)
  // Less than the quarter that is worth going on for.
  queue.sending.release(100)
  expect([queue.pump(tcb), queue.sending.free]).toEqual([false, 100])
  expect(queue.offer(new Uint8Array(10), tcb)).toBe(false)
  expect(queue.sending.queued).toBe(900)
  queue.sending.release(500)
  expect([queue.pump(tcb), queue.isEmpty]).toEqual([true, true])
  queue.settle()
  queue.settle()
  expect(settled).toBe(1)
  queue.sending.release(100)
  expect(queue.offer(new Uint8Array(200), tcb)).toBe(true)
  expect(queue.offer(new Uint8Array(1), tcb)).toBe(false)
  expect(queue.sending.queued).toBe(1000)
})

it("what is offered does not go beyond what may wait to be sent", () => {
  const queue = new WriteQueue({ initial: 1000, maximum: 1000 }, false)
  expect(queue.offer(new Uint8Array(300), unsent(300))).toBe(true)
  expect(queue.offer(new Uint8Array(1), unsent(300))).toBe(false)
  expect(queue.offer(new Uint8Array(0), unsent(300))).toBe(true)
})

it("writes that wait and are abandoned are all settled, once", () => {
  const tcb = unsent(Infinity)
  const queue = new WriteQueue({ initial: 1000, maximum: 1000 }, false)
  const settled: Array<number> = []
  for (const number of [1, 2, 3]) queue.add(pending(600, () => settled.push(number)), tcb)
  queue.sending.release(400)
  queue.pump(tcb)
  queue.abandon()
  expect(queue.isEmpty).toBe(true)
  queue.settle()
  queue.settle()
  expect(settled).toEqual([2, 3])
  // Others are not told what this one's writes came to.
  const other = new WriteQueue({ initial: 1000, maximum: 1000 }, false)
  expect([other.isEmpty, other.remove(pending(1))]).toEqual([true, false])
})
