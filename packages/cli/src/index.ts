/**
 * The command line of strata as a value, for programs that run it themselves.
 */
export { strata } from "./strata.ts"
