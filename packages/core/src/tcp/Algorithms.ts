/**
 * The congestion controls that come with the stack, by the names that people use for them.
 */
import { Bbr } from "./Bbr.ts"
import type { CongestionAlgorithm } from "./Congestion.ts"
import { Cubic } from "./Cubic.ts"
import { Reno } from "./Reno.ts"

const algorithms = { reno: Reno, cubic: Cubic, bbr: Bbr } as const satisfies Record<string, CongestionAlgorithm>

/** The names of the congestion controls that come with the stack. */
export type AlgorithmName = keyof typeof algorithms

/** All of them. */
export const names = Object.keys(algorithms) as ReadonlyArray<AlgorithmName>

/** The congestion control of that name. */
export const byName = (name: AlgorithmName): CongestionAlgorithm => algorithms[name]
