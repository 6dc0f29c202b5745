/**
 * What is measured: several contenders do the same work, strata through each of its APIs and whoever it is held against.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Failure } from "./failure.ts"
import type { Better } from "./summary.ts"
import type { Testbed } from "./testbed.ts"

export interface Figure {
  readonly value: number
  /** Microseconds of the server's processor time for one operation, or for a mebibyte. */
  readonly processor?: number | undefined
  /** Octets that JavaScript allocated for one of them. */
  readonly allocated?: number | undefined
  /** Of those, how many outlived the first collection. */
  readonly promoted?: number | undefined
  /** Round-trip times in microseconds. */
  readonly p50?: number | undefined
  readonly p99?: number | undefined
}

export interface Contender {
  readonly title: string
  /** Runs for about so many seconds. Who needs no network does not ask for the testbed. */
  readonly measure: (
    testbed: Effect.Effect<Testbed, Failure>,
    seconds: number
  ) => Effect.Effect<Figure, Failure, Scope.Scope>
  /** Why it cannot be measured here, or undefined. */
  readonly obstacle?: () => string | undefined
  /** Whether ratios are of this one; the first of them counts. */
  readonly isBaseline?: boolean
  /** Whether it needs neither a network nor root. */
  readonly isLocal?: boolean
  /** Whether a quick run has it in one round only, or leaves it out. */
  readonly isAside?: boolean
  readonly isLong?: boolean
  /** Whether it is to run a little before it counts, since compilers take their time; true by default. */
  readonly warm?: boolean
}

export interface Measurement {
  /** As `--only` picks it. */
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: Better
  readonly contenders: ReadonlyArray<Contender>
  /** What the figures are to be read for. */
  readonly text?: string
  /** Rounds at most, of what takes long. */
  readonly rounds?: number
  /** Whether the quick run leaves it out. */
  readonly isLong?: boolean
}
