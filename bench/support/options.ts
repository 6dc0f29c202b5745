/**
 * The command line of the benchmark.
 */
import { parseArgs } from "node:util"

export interface Options {
  readonly quick: boolean
  readonly list: boolean
  readonly help: boolean
  readonly sizes: boolean
  readonly counters: boolean
  /** Parts of names; everything when there are none. */
  readonly only: ReadonlyArray<string>
  readonly rounds: number
  /** Of each measurement, in each round. */
  readonly seconds: number
  /** Seconds to wait for a quiet machine, in all. */
  readonly patience: number
  readonly json?: string | undefined
  readonly markdown?: string | undefined
  readonly profile?: string | undefined
}

export const usage = `npm run bench -- [options]

  --quick            all but what takes long, in two minutes
  --sizes            cost against size instead
  --counters         what must not grow, whatever the machine: calls, copies, allocations
  --list             what there is to measure
  --only <name>      what has this in its name; may be given several times
  --rounds <n>       rounds of each measurement (5; quick: 3)
  --seconds <n>      of each measurement in each round (1; quick: 0.2)
  --patience <n>     seconds to wait for a quiet machine, in all (120; quick: 5)
  --json <file>      writes all figures
  --markdown <file>  writes the tables
  --profile <dir>    writes profiles of strata's processes (--cpu-prof)

Needs Linux and root, since it makes network namespaces of its own.
`

const text = { type: "string" } as const
const flag = { type: "boolean", default: false } as const

/** The least and the most that a number may be. */
type Bounds = readonly [least: number, most: number]

const BOUNDS = { rounds: [1, 1000], seconds: [0.05, 600], patience: [0, 3600] } as const

/** A number that an option was given as; throws what is wrong with it. */
export const numberOf = (name: string, given: string, [least, most]: Bounds, isWhole = false): number => {
  const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : NaN
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value
  throw new Error(`--${name} wants a number from ${least} to ${most}, and not "${given}"`)
}

/** The options, or in one line what is wrong with them. */
export const parse = (args: ReadonlyArray<string>): Options | string => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: flag,
        list: flag,
        help: flag,
        sizes: flag,
        counters: flag,
        only: { type: "string", multiple: true, default: [] },
        rounds: text,
        seconds: text,
        patience: text,
        json: text,
        markdown: text,
        profile: text
      }
    })
    const number = (name: keyof typeof BOUNDS, otherwise: number): number => {
      const given = values[name]
      return given === undefined ? otherwise : numberOf(name, given, BOUNDS[name], name === "rounds")
    }
    const { quick } = values
    return {
      ...values,
      rounds: number("rounds", quick ? 3 : 5),
      seconds: number("seconds", quick ? 0.2 : 1),
      patience: number("patience", quick ? 5 : 120)
    }
  } catch (error) {
    // What Node adds is advice that does not fit here.
    return (error as Error).message.split(/\. To specify|\n/)[0]!
  }
}

/** Those whose names have one of the parts; in one line why there are none. */
export const pick = <A extends { readonly name: string }>(
  all: ReadonlyArray<A>,
  only: ReadonlyArray<string>
): ReadonlyArray<A> | string => {
  const picked = all.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part.toLowerCase())))
  return picked.length > 0 ? picked : `nothing has "${only.join("\" or \"")}" in its name; --list tells what there is`
}
