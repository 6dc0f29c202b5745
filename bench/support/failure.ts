/** Why something cannot be measured, in one line. */
export class Failure extends Error {
  readonly _tag = "Failure"
}
