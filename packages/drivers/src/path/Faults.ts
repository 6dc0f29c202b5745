/**
 * What happens to single packets of a path, one by one: the n-th, or whichever
 * a function picks. Chance has no part in it, so a list of faults does the same
 * every time, and one fault more or less changes nothing for the others.
 */
import type { Decoded } from "./Decoded.ts"

/** What happens to one packet. */
export type Fault =
  | { readonly _tag: "Lose" }
  /** Arrives twice. */
  | { readonly _tag: "Duplicate" }
  /** One bit is flipped: the one with that number, counted from the end of the Ethernet header on and round again. */
  | { readonly _tag: "Corrupt"; readonly bit: number }
  /** Arrives that much later, in milliseconds, and may be overtaken. */
  | { readonly _tag: "Delay"; readonly milliseconds: number }

/**
 * Asked about each packet, with its number, counted from 1 since the path was made. Several faults are done in order;
 * what is lost is lost.
 */
export type Faults = (number: number, decoded: () => Decoded) => ReadonlyArray<Fault>

/** It does not arrive. */
export const lose: Fault = { _tag: "Lose" }

/** It arrives twice. */
export const duplicate: Fault = { _tag: "Duplicate" }

/** That bit of it is flipped. */
export const corrupt = (bit: number): Fault => ({ _tag: "Corrupt", bit })

/** It takes so much longer. */
export const delay = (milliseconds: number): Fault => ({ _tag: "Delay", milliseconds })

const NOTHING: ReadonlyArray<Fault> = []

/** Every packet as the other conditions leave it. */
export const none: Faults = () => NOTHING

/** Faults of the packets with these numbers. */
export const at = (...faults: ReadonlyArray<readonly [number: number, fault: Fault]>): Faults => {
  const byNumber = Map.groupBy(faults, ([number]) => number)
  return (number) => byNumber.get(number)?.map(([, fault]) => fault) ?? NOTHING
}
