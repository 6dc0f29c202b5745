/**
 * The command line of strata as a value, for programs that run it themselves.
 *
 * @module @strata/cli
 */
export { strata } from "./strata.ts"
