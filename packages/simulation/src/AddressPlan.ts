/**
 * Which networks links have: wires 10.0.0.0/24 to 10.127.255.0/24, switches
 * 10.128.0.0/16 to 10.255.0.0/16, in the order in which they were made.
 */

/** The network of a wire, as an unsigned 32-bit integer; wires are counted from 0. */
export const wireNetwork = (number: number): number => 0x0a00_0000 + within(number, 0x8000, "wires") * 0x100

/** The network of a switch; switches are counted from 0. */
export const lanNetwork = (number: number): number => 0x0a80_0000 + within(number, 0x80, "switches") * 0x1_0000

const within = (number: number, limit: number, what: string): number => {
  if (number >= limit) throw new Error(`a network has at most ${limit} ${what}`)
  return number
}
