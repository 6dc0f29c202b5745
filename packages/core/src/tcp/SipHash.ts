/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for short messages, in 32-bit integers.
 *
 * Without the key its values cannot be told from random ones, and it answers at
 * once, which the platform's asynchronous message authentication does not.
 */

/** 128 bits as four words, the least significant first. */
export type Key = readonly [number, number, number, number]

/** Four 64-bit words, each as its low and its high half: v0 to v3 in that order. */
type State = Int32Array

const low = (word: number): number => 2 * word
const high = (word: number): number => 2 * word + 1

const addTo = (v: State, a: number, b: number): void => {
  const sum = (v[low(a)]! >>> 0) + (v[low(b)]! >>> 0)
  v[low(a)] = sum
  v[high(a)] = v[high(a)]! + v[high(b)]! + (sum > 0xffff_ffff ? 1 : 0)
}

const rotateLeft = (v: State, a: number, bits: number): void => {
  const swap = bits >= 32
  const by = bits % 32
  const from = swap ? v[high(a)]! : v[low(a)]!
  const to = swap ? v[low(a)]! : v[high(a)]!
  v[low(a)] = by === 0 ? from : (from << by) | (to >>> (32 - by))
  v[high(a)] = by === 0 ? to : (to << by) | (from >>> (32 - by))
}

const xorInto = (v: State, a: number, lowBits: number, highBits: number): void => {
  v[low(a)] = v[low(a)]! ^ lowBits
  v[high(a)] = v[high(a)]! ^ highBits
}

const mix = (v: State, a: number, b: number, bits: number): void => {
  addTo(v, a, b)
  rotateLeft(v, b, bits)
  xorInto(v, b, v[low(a)]!, v[high(a)]!)
}

const rounds = (v: State, count: number): void => {
  for (let round = 0; round < count; round++) {
    mix(v, 0, 1, 13)
    rotateLeft(v, 0, 32)
    mix(v, 2, 3, 16)
    mix(v, 0, 3, 21)
    mix(v, 2, 1, 17)
    rotateLeft(v, 2, 32)
  }
}

const compress = (v: State, lowBits: number, highBits: number): void => {
  xorInto(v, 3, lowBits, highBits)
  rounds(v, 2)
  xorInto(v, 0, lowBits, highBits)
}

const byteAt = (message: Uint8Array, at: number): number => message[at] ?? 0

/** Four octets, the least significant first; zeros behind the end. */
const wordAt = (message: Uint8Array, at: number): number =>
  byteAt(message, at) | byteAt(message, at + 1) << 8 | byteAt(message, at + 2) << 16 | byteAt(message, at + 3) << 24

/** The 64-bit hash of `message` as two unsigned words, the less significant first. */
export const hash = (key: Key, message: Uint8Array): readonly [number, number] => {
  const v: State = Int32Array.of(
    key[0] ^ 0x70736575,
    key[1] ^ 0x736f6d65,
    key[2] ^ 0x6e646f6d,
    key[3] ^ 0x646f7261,
    key[0] ^ 0x6e657261,
    key[1] ^ 0x6c796765,
    key[2] ^ 0x79746573,
    key[3] ^ 0x74656462
  )
  const whole = message.length - message.length % 8
  for (let at = 0; at < whole; at += 8) compress(v, wordAt(message, at), wordAt(message, at + 4))
  compress(v, wordAt(message, whole), wordAt(message, whole + 4) | message.length << 24)
  xorInto(v, 2, 0xff, 0)
  rounds(v, 4)
  return [
    (v[0]! ^ v[2]! ^ v[4]! ^ v[6]!) >>> 0,
    (v[1]! ^ v[3]! ^ v[5]! ^ v[7]!) >>> 0
  ]
}
