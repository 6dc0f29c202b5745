/**
 * Arithmetic of sequence numbers (RFC 9293 §3.4): unsigned 32-bit integers in a circle.
 *
 * Two numbers can be compared while they are less than 2^31 apart, which holds
 * for everything within one window.
 */

/** The number `octets` after `a`; before it when negative. */
export const add = (a: number, octets: number): number => (a + octets) >>> 0

/** How many octets `b` is after `a`, negative when it is before: from −2^31 up to 2^31 − 1. */
export const difference = (a: number, b: number): number => (b - a) | 0

export const lessThan = (a: number, b: number): boolean => ((a - b) | 0) < 0

export const lessOrEqual = (a: number, b: number): boolean => ((a - b) | 0) <= 0

export const greaterThan = (a: number, b: number): boolean => ((a - b) | 0) > 0

export const greaterOrEqual = (a: number, b: number): boolean => ((a - b) | 0) >= 0

/** The later of the two. */
export const latest = (a: number, b: number): number => ((a - b) | 0) >= 0 ? a : b
