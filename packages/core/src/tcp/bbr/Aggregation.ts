/**
 * Acknowledgements that come in heaps (draft-ietf-ccwg-bbr-06 §5.5.9): how much more one brings than the bandwidth explains. The
 * window has room for that much more, so that sending goes on while none come.
 */
import type { Ack } from "./Ack.ts"
import * as Model from "./Model.ts"
import { AGGREGATION_ROUNDS } from "./Parameters.ts"
import type { BbrState } from "./State.ts"
import * as WindowedMaximum from "./WindowedMaximum.ts"

/** UpdateACKAggregation() */
export const update = (state: BbrState, ack: Ack): BbrState => {
  const { aggregation, fullPipe, rounds, window } = state
  const expected = Model.bandwidth(state) * (ack.now - aggregation.since)
  const isOver = aggregation.delivered <= expected
  const delivered = isOver ? ack.delivered : aggregation.delivered + ack.delivered
  const extra = Math.min(isOver ? delivered : delivered - expected, window)
  // In Startup the bandwidth is soon more than it was: only one round is remembered.
  const span = fullPipe.reached ? AGGREGATION_ROUNDS : 1
  return {
    ...state,
    aggregation: {
      since: isOver ? ack.now : aggregation.since,
      delivered,
      extra: WindowedMaximum.update(aggregation.extra, extra, rounds.count, span)
    }
  }
}
