/**
 * Copies of octets. What comes from a program or a driver may be a `Buffer` of Node's, whose `slice` is no copy but shares
 * the memory, unlike that of any other `Uint8Array`.
 */

/** V8 keeps arrays of up to so many octets on its heap; to cut one of those out takes two thirds of the time of a view and its copy. */
const SHORT = 64

/** The octets `[start, end)` in memory of their own, as a plain `Uint8Array`. */
export const copyOf = (octets: Uint8Array, start = 0, end = octets.length): Uint8Array<ArrayBuffer> =>
  end - start <= SHORT && octets.constructor === Uint8Array
    ? octets.slice(start, end) as Uint8Array<ArrayBuffer>
    : new Uint8Array(octets.subarray(start, end))
