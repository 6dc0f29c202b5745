/**
 * A TCP that leaves out one point of one RFC, and how it shows.
 */
import type { Machine } from "./Mutation.ts"
import type { Machines, Seen, Trial } from "./Trial.ts"

export interface RfcMutation {
  readonly rfc: string
  /** What is wrong. */
  readonly wrong: string
  /** A fresh one for each run, since what happens to packets may count them. */
  readonly trial: () => Trial
  /** The same with what is wrong, where it is not the machine that is. */
  readonly changed?: () => Trial
  readonly machines?: Machines
  /** What holds of TCP as the RFC has it. */
  readonly holds: (seen: Seen) => boolean
}

/** One that a single event shows: no network is needed. */
export interface RfcSlip {
  readonly rfc: string
  readonly wrong: string
  readonly machine: Partial<Machine>
  readonly holds: (machine: Machine) => boolean
}
