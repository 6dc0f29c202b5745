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
