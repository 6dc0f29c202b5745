/**
 * Bytes, cut into lines.
 */
import * as Stream from "effect/Stream"

const NEWLINE = 0x0a

const concat = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  if (head.length === 0) return tail
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}

const cut = (carried: Uint8Array, chunk: Uint8Array, limit: number): readonly [Uint8Array, Array<Uint8Array>] => {
  const lines: Array<Uint8Array> = []
  let at = 0
  for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
    lines.push(concat(at === 0 ? carried : new Uint8Array(), chunk.subarray(at, end + 1)))
    at = end + 1
  }
  const rest = concat(at === 0 ? carried : new Uint8Array(), chunk.subarray(at))
  if (rest.length <= limit) return [rest, lines]
  lines.push(rest)
  return [new Uint8Array(), lines]
}

/**
 * Each line with its newline, and what is left at the end without one. More than `limit` octets without a newline come as
 * a line of their own, so that no more has to be kept.
 */
export const lines =
  (limit: number) => <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
    Stream.mapAccum(
      bytes,
      () => new Uint8Array() as Uint8Array,
      (carried, chunk) => cut(carried, chunk, limit),
      { onHalt: (rest) => rest.length > 0 ? [rest] : [] }
    )
