/**
 * What the RFCs and the literature say of the average window of a long transfer,
 * in segments, on a path that loses each packet with probability `loss`, has a
 * round-trip time in milliseconds, and all the room there is.
 */

/** Mathis, Semke, Mahdavi, Ott, "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm" (1997), one ACK per packet. */
export const mathisWindow = (loss: number): number => Math.sqrt(3 / 2 / loss)

/** CUBIC's C (segments per second cubed) and beta: RFC 9438 §5 and §4.6. */
export const C = 0.4
export const BETA = 0.7

/** alpha of the Reno-friendly estimate: RFC 9438 §4.3, figure 4. */
export const ALPHA = 3 * (1 - BETA) / (1 + BETA)

/** RFC 9438 §5.1, equation (5): the window of the cubic function alone. */
export const cubicWindow = (loss: number, roundTrip: number): number =>
  (C * (3 + BETA) / (4 * (1 - BETA))) ** (1 / 4) * (roundTrip / 1000) ** (3 / 4) / loss ** (3 / 4)

/** RFC 9438 §4.3: at least what Reno would have. */
export const cubicOrRenoWindow = (loss: number, roundTrip: number): number =>
  Math.max(mathisWindow(loss), cubicWindow(loss, roundTrip))
