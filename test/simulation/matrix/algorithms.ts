/**
 * The congestion controls of the matrix that the stack has.
 */
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Reno } from "@strata/core/tcp/Reno"
import type { AlgorithmName } from "./Cell.ts"

export const algorithms: ReadonlyMap<AlgorithmName, CongestionAlgorithm> = new Map([["reno", Reno]])
