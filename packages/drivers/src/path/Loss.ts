/**
 * Which packets a path loses.
 */
import type { Entropy } from "@strata/core/Entropy"
import type { Decoded } from "./Decoded.ts"
import { happens } from "./Distribution.ts"

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
  | { readonly _tag: "Matching"; readonly matches: (packet: Decoded) => boolean }

export const bernoulli = (probability: number): Loss => ({ _tag: "Bernoulli", probability })

export const gilbertElliott = (options: Omit<Extract<Loss, { _tag: "GilbertElliott" }>, "_tag">): Loss => ({
  _tag: "GilbertElliott",
  ...options
})

export const numbers = (...ordinals: ReadonlyArray<number>): Loss => ({ _tag: "Numbers", numbers: new Set(ordinals) })

export const matching = (matches: (packet: Decoded) => boolean): Loss => ({ _tag: "Matching", matches })

/** Whether nothing is ever lost. */
export const isNone = (loss: Loss): boolean => loss._tag === "Bernoulli" && loss.probability === 0

/** Decides packet by packet; remembers what its kind of loss has to. */
export class Loser {
  private bad = false

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
