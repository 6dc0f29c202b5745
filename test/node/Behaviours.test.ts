/**
 * Every row of the table of behaviours, with Node itself and on strata; docs/node-behaviours.md shows what they have in common.
 */
import { assert, describe, expect, it } from "vitest"
import type { Row } from "./behaviours/row.ts"
import { page, type Results, table } from "./behaviours/table.ts"
import { HANGS, play } from "./behaviours/world.ts"

const results = new Map<Row, Results>()

for (const { rows, title } of table) {
  describe(title, () => {
    for (const row of rows) {
      // In real time, on a machine that may be busy.
      it(row.name, { timeout: 60_000 }, async () => {
        const shown = { node: await play("node", row.run), strata: await play("strata", row.run) }
        results.set(row, shown)
        assert.notInclude([...shown.node.client, ...shown.strata.client], HANGS)
        if (row.differs === undefined) assert.deepStrictEqual(shown.strata, shown.node)
        else assert.notDeepEqual(shown.strata, shown.node)
      })
    }
  })
}

describe("the table", () => {
  it("has rows with names of their own", () => {
    const names = table.flatMap(({ rows, title }) => rows.map(({ name }) => `${title}: ${name}`))
    assert.strictEqual(new Set(names).size, names.length)
  })

  it("is written down", async () => {
    await expect(page((row) => results.get(row)!)).toMatchFileSnapshot("../../docs/node-behaviours.md")
  })
})
