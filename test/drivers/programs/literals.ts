/**
 * Makes objects by one literal: many that live long, then many more that do not. Prints how many octets of the latter went to the old
 * generation, and how many there were: for a process of its own, with a small young generation. V8 is told what a native device tells it, unless
 * the argument is `untold`.
 */
import { Pretenuring } from "@strata/drivers"
import { Effect } from "effect"
import { getHeapSpaceStatistics } from "node:v8"

/** What an object takes, about: its header, four fields and what it points to. */
const SIZE = 80
const LASTING = 200_000
const PASSING = 400_000

interface Made {
  readonly first: number
  readonly second: number
  readonly inner: { readonly third: number }
}

const make = (value: number): Made => ({ first: value, second: value, inner: { third: value } })

const old = (): number => getHeapSpaceStatistics().find(({ space_name: name }) => name === "old_space")!.space_used_size

if (process.argv[2] !== "untold") (await Effect.runPromise(Pretenuring))()
let kept: Array<Made> = []
for (let round = 0; round < 3; round++) {
  kept = []
  for (let value = 0; value < LASTING; value++) kept.push(make(value))
}
let sum = 0
let grown = 0
// A full collection in between hides growth and never adds to it.
for (let part = 0; part < 10; part++) {
  const before = old()
  for (let value = 0; value < PASSING / 10; value++) sum += make(value).inner.third
  grown += Math.max(0, old() - before)
}
process.stdout.write(JSON.stringify({ grown, made: PASSING * SIZE, sum, kept: kept.length }))
