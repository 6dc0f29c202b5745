/**
 * The congestion controls of the matrix.
 */
import { Bbr } from "@strata/core/tcp/Bbr"
import type { CongestionAlgorithm } from "@strata/core/tcp/Congestion"
import { Cubic } from "@strata/core/tcp/Cubic"
import { Reno } from "@strata/core/tcp/Reno"
import type { AlgorithmName } from "./Cell.ts"

export const algorithms: Readonly<Record<AlgorithmName, CongestionAlgorithm>> = { reno: Reno, cubic: Cubic, bbr: Bbr }
