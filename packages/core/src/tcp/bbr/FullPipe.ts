/**
 * Whether sending faster still delivers faster (draft-ietf-ccwg-bbr-06 §5.3.1.2).
 */
import type { Ack } from "./Ack.ts"
import { FULL_PIPE_GROWTH, FULL_PIPE_ROUNDS } from "./Parameters.ts"
import type { BbrState, FullPipe } from "./State.ts"

/** ResetFullBW(), with the rate that growth is told from. */
export const sought = (fullPipe: FullPipe, baseline: number): FullPipe => ({
  baseline,
  rounds: 0,
  now: false,
  reached: fullPipe.reached
})

/** CheckFullBWReached(): after some rounds of little growth, the pipe is full. */
export const check = (state: BbrState, ack: Ack): BbrState => {
  const { fullPipe, rounds } = state
  if (fullPipe.now || !rounds.started || ack.limited) return state
  if (ack.rate >= fullPipe.baseline * FULL_PIPE_GROWTH) return { ...state, fullPipe: sought(fullPipe, ack.rate) }
  const flat = fullPipe.rounds + 1
  const now = flat >= FULL_PIPE_ROUNDS
  return {
    ...state,
    fullPipe: { baseline: fullPipe.baseline, rounds: flat, now, reached: fullPipe.reached || now }
  }
}
