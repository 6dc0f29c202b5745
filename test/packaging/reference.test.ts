/**
 * The reference of the public interface: `npm run docs` makes it of what the comments say.
 */
import { expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { PACKAGES, ROOT } from "../../packaging/pack.ts"
import { run } from "./project.ts"

const page = (name: string): string => join(ROOT, "docs/api/html/modules", name)

it("can be made without a warning, and has every entry point", () => {
  const { code, stderr, stdout } = run(ROOT, "npm", ["run", "--silent", "docs"])
  const said = `${stdout}${stderr}`
  expect(said).not.toMatch(/\[(?:warning|error)\]/)
  expect(code, said).toBe(0)
  for (const name of PACKAGES) expect(existsSync(page(`_strata_${name}.html`)), name).toBe(true)
  for (const name of ["node", "StrataTls", "StrataHttp"]) {
    expect(existsSync(page(`_strata_sockets_${name}.html`)), name).toBe(true)
  }
  expect(readFileSync(page("_strata_simulation.Simulation.html"), "utf8")).toContain("The same seed")
})
