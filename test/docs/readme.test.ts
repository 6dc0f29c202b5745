import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (path: string) => readFileSync(join(root, path), "utf8")
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...(existsSync(join(root, "docs")) ? readdirSync(join(root, "docs")).map((name) => join("docs", name)) : [])
].filter((name) => name.endsWith(".md"))

describe("pages", () => {
  it("show examples as they are in the files they name", () => {
    const shown = pages.flatMap((page) => [...read(page).matchAll(/<!-- (\S+\.ts) -->\n```ts\n([\s\S]*?)\n```/g)])
    assert.isAtLeast(shown.length, 2)
    for (const [, path, text] of shown) assert.strictEqual(`${text}\n`, read(path!), path)
  })

  it("show lines of the programs that they link to, in their order", () => {
    const rows = [...read("README.md").matchAll(/^\| [^|]+ \| (`[^|]+`) \| \[[^\]]+\]\((examples\/[^)]+)\) \|$/gm)]
    assert.isAtLeast(rows.length, 5)
    for (const [, cell, path] of rows) {
      const lines = cell!.split("<br>").map((line) => line.slice(1, -1))
      assert.isAtMost(lines.length, 3, path)
      let rest = read(path!)
      for (const line of lines) {
        assert.include(rest, line, path)
        rest = rest.slice(rest.indexOf(line) + line.length)
      }
    }
  })

  it("link to pages that exist", () => {
    for (const page of pages) {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        assert.isTrue(existsSync(join(root, dirname(page), target!)), `${page} links to ${target}`)
      }
    }
  })

  it("name only commands and options that the command line has", () => {
    const known = readdirSync(join(root, "packages/cli/src/commands")).map((name) => name.replace(".ts", ""))
    for (const [, command] of read("README.md").matchAll(/strata ([a-z]+)(?=[ `])/g)) {
      if (!["and", "began", "runs", "serves"].includes(command!)) assert.include(known, command)
    }
  })
})
