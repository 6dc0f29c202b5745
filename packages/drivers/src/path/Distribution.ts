/**
 * How long things take, as a distribution to draw from. All in milliseconds;
 * what would be negative is zero.
 */
import type { Entropy } from "@strata/core/Entropy"

/** What numbers are drawn from. */
export type Distribution =
  | { readonly _tag: "Constant"; readonly value: number }
  | { readonly _tag: "Uniform"; readonly minimum: number; readonly maximum: number }
  | { readonly _tag: "Normal"; readonly mean: number; readonly deviation: number }
  /** Never less than `scale`; the smaller `shape`, the longer the tail (the mean is infinite up to 1). */
  | { readonly _tag: "Pareto"; readonly scale: number; readonly shape: number }

/** Always the same. */
export const constant = (value: number): Distribution => ({ _tag: "Constant", value })

/** `value` give or take `jitter`, all alike. */
export const around = (value: number, jitter: number): Distribution => uniform(value - jitter, value + jitter)

/** Anything between two numbers, all alike. */
export const uniform = (minimum: number, maximum: number): Distribution => ({ _tag: "Uniform", minimum, maximum })

/** The bell curve; what is below zero becomes zero. */
export const normal = (mean: number, deviation: number): Distribution => ({ _tag: "Normal", mean, deviation })

/** Mostly little, and now and then very much: the heavier tail the smaller `shape`. */
export const pareto = (scale: number, shape: number): Distribution => ({ _tag: "Pareto", scale, shape })

/** A number in (0, 1]: its logarithm is finite. */
const positive = (entropy: Entropy["Service"]): number => (entropy.u32() + 1) / 0x1_0000_0000

/** Draws a number, at least zero. */
export const sample = (self: Distribution, entropy: Entropy["Service"]): number => Math.max(0, draw(self, entropy))

const draw = (self: Distribution, entropy: Entropy["Service"]): number => {
  switch (self._tag) {
    case "Constant":
      return self.value
    case "Uniform":
      return self.minimum + (self.maximum - self.minimum) * chance(entropy)
    case "Normal": {
      // Box and Muller: two uniform numbers make one normal one.
      const radius = Math.sqrt(-2 * Math.log(positive(entropy)))
      return self.mean + self.deviation * radius * Math.cos(2 * Math.PI * chance(entropy))
    }
    case "Pareto":
      return self.scale * positive(entropy) ** (-1 / self.shape)
  }
}

/** A number in [0, 1). */
export const chance = (entropy: Entropy["Service"]): number => entropy.u32() / 0x1_0000_0000

/** True with that probability; draws only where the outcome is open, so that switching a fault off changes nothing else. */
export const happens = (probability: number, entropy: Entropy["Service"]): boolean =>
  probability > 0 && (probability >= 1 || chance(entropy) < probability)
