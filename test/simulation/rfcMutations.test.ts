import { assert, describe, it } from "@effect/vitest"
import { rfc9293 } from "@strata/core/tcp/TcpMachine"
import { Effect } from "effect"
import { afterAll } from "vitest"
import { congestion } from "./mutations/rfcCongestion.ts"
import { ends, path } from "./mutations/rfcEnds.ts"
import { options, slips } from "./mutations/rfcMachine.ts"
import type { RfcMutation } from "./mutations/RfcMutation.ts"
import { repair } from "./mutations/rfcRepair.ts"
import * as Trial from "./mutations/Trial.ts"

const caught: Array<readonly [rfc: string, wrong: string]> = []

/** The right TCP keeps to the RFC, and the wrong one does not. */
const isCaught = ({ changed, holds, machines, rfc, trial, wrong }: RfcMutation) =>
  Effect.gen(function*() {
    const right = yield* Trial.run(trial())
    assert.isTrue(holds(right), `a right TCP: ${Trial.format(right)}`)
    const mutated = yield* Trial.run((changed ?? trial)(), machines)
    assert.isFalse(holds(mutated), `with what is wrong: ${Trial.format(mutated)}`)
    caught.push([rfc, wrong])
  })

describe("a TCP is caught that leaves out a point of", () => {
  it.effect.each([...repair, ...congestion, ...options, ...path])("$rfc: $wrong", isCaught)

  it.each([...slips, ...ends])("$rfc: $wrong", ({ holds, machine, rfc, wrong }) => {
    assert.isTrue(holds(rfc9293))
    assert.isFalse(holds({ ...rfc9293, ...machine }))
    caught.push([rfc, wrong])
  })

  afterAll(() => {
    const width = Math.max(...caught.map(([rfc]) => rfc.length))
    const lines = caught.map(([rfc, wrong]) => `${rfc.padEnd(width)}  ${wrong}`)
    process.stdout.write(`\n${lines.join("\n")}\n\n`)
  })
})
