/**
 * Selective acknowledgements that arrive (RFC 2018, RFC 6675), and duplicates that the peer reports (RFC 2883).
 */
import type { Range, SendSpace } from "./ControlBlock.ts"
import type { News } from "./News.ts"
import type { SackBlock } from "./Segment.ts"
import * as Sequence from "./Sequence.ts"
import * as Transmissions from "./Transmissions.ts"

/**
 * The first block when it reports a duplicate (RFC 2883 §4): octets that are acknowledged already, or that lie within the second block. One
 * that is older than the whole window, or about octets never sent, tells nothing.
 */
export const duplicate = (snd: SendSpace, ack: number, blocks: ReadonlyArray<SackBlock>): Range | undefined => {
  const [first, second] = blocks
  if (first === undefined || !Sequence.lessThan(first.left, first.right)) return undefined
  const isAcknowledged = Sequence.lessOrEqual(first.right, ack) &&
    Sequence.greaterOrEqual(first.left, Sequence.add(ack, -Math.max(snd.maxWnd, snd.mss)))
  const isWithin = second !== undefined && Sequence.greaterOrEqual(first.left, second.left) &&
    Sequence.lessOrEqual(first.right, second.right) && Sequence.lessOrEqual(first.right, snd.nxt)
  return isAcknowledged || isWithin ? first : undefined
}

/** Whether a block is about octets on their way: those of nothing else are believed. */
const isPlausible = (una: number, nxt: number, { left, right }: SackBlock): boolean =>
  Sequence.lessThan(left, right) && Sequence.greaterThan(left, una) && Sequence.lessOrEqual(right, nxt)

/** The scoreboard after `blocks`; `duplicated` is the first one when it only reports a duplicate. */
export const update = (
  before: Transmissions.Transmissions,
  nxt: number,
  blocks: ReadonlyArray<SackBlock>,
  duplicated: Range | undefined,
  into: News
): Transmissions.Transmissions => {
  let all = before
  for (const block of blocks) {
    if (block === duplicated || !isPlausible(all.una, nxt, block)) continue
    all = Transmissions.select(all, block.left, block.right, into)
  }
  return all
}
