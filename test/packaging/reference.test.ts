/**
 * The reference of the public interface: `npm run docs` makes it of what the comments say.
 */
import { expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { PACKAGES, ROOT } from "../../packaging/pack.ts"
import { run } from "./project.ts"

const page = (name: string): string => join(ROOT, "docs/api/html/modules", name)

const WARNINGS = ["--validation.notDocumented", "--treatValidationWarningsAsErrors", "false"]

it("can be made without a warning, and has every entry point", async () => {
  const { code, stderr, stdout } = await run(ROOT, "npm", ["run", "--silent", "docs", "--", ...WARNINGS], {
    NO_COLOR: "1"
  })
  const said = `${stdout}${stderr}`.split("\n").filter((line) => /\[(?:warning|error)\]/.test(line))
  // Members that have the names of Node's have Node's documentation. The last line counts.
  expect(said.filter((line) => !/ @strata\/sockets\/node\.| Found 0 errors/.test(line))).toEqual([])
  expect(code, `${stdout}${stderr}`).toBe(0)
  for (const name of PACKAGES) expect(existsSync(page(`_strata_${name}.html`)), name).toBe(true)
  for (const name of ["node", "StrataTls", "StrataHttp"]) {
    expect(existsSync(page(`_strata_sockets_${name}.html`)), name).toBe(true)
  }
  expect(readFileSync(page("_strata_simulation.Simulation.html"), "utf8")).toContain("The same seed")
})
