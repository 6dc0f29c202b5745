/**
 * Which packets a path loses.
 */
import type { Entropy } from "@strata/core/Entropy"
import type { Decoded } from "./Decoded.ts"
import { happens } from "./Distribution.ts"

/** Which packets are lost. */
export type Loss =
  /** Each packet by itself, with that probability. */
  | { readonly _tag: "Bernoulli"; readonly probability: number }
  /**
   * Bursts (Gilbert 1960, Elliott 1963): before each packet the path may change between a good and a bad state, and loses it with
   * the probability of the state it is in.
   */
  | {
    readonly _tag: "GilbertElliott"
    readonly goodToBad: number
    readonly badToGood: number
    /** 0 by default. */
    readonly lossWhenGood?: number | undefined
    /** 1 by default. */
    readonly lossWhenBad?: number | undefined
  }
  /** The packets with these numbers, counted from 1 since the path was made. */
  | { readonly _tag: "Numbers"; readonly numbers: ReadonlySet<number> }
  /** Every packet that matches. */
  | {
    readonly _tag: "Matching"
    /** Asked of each packet. */
    readonly matches: (packet: Decoded) => boolean
  }

/** Each packet by itself, with a probability from 0 to 1. */
export const bernoulli = (probability: number): Loss => ({ _tag: "Bernoulli", probability })

/** In bursts: a good and a bad state, and how likely it is to change between them. */
export const gilbertElliott = (options: Omit<Extract<Loss, { _tag: "GilbertElliott" }>, "_tag">): Loss => ({
  _tag: "GilbertElliott",
  ...options
})

/** The packets with these ordinals. */
export const numbers = (...ordinals: ReadonlyArray<number>): Loss => ({ _tag: "Numbers", numbers: new Set(ordinals) })

/** Those that a predicate picks. */
export const matching = (matches: (packet: Decoded) => boolean): Loss => ({ _tag: "Matching", matches })

/** Whether nothing is ever lost. */
export const isNone = (loss: Loss): boolean => loss._tag === "Bernoulli" && loss.probability === 0

/** Decides packet by packet; remembers what its kind of loss has to. */
export class Loser {
  private bad = false

  /** Whether the packet of that ordinal is lost. */
  loses(loss: Loss, number: number, decoded: () => Decoded, entropy: Entropy["Service"]): boolean {
    switch (loss._tag) {
      case "Bernoulli":
        return happens(loss.probability, entropy)
      case "GilbertElliott":
        if (happens(this.bad ? loss.badToGood : loss.goodToBad, entropy)) this.bad = !this.bad
        return happens(this.bad ? loss.lossWhenBad ?? 1 : loss.lossWhenGood ?? 0, entropy)
      case "Numbers":
        return loss.numbers.has(number)
      case "Matching":
        return loss.matches(decoded())
    }
  }
}
