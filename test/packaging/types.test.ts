/**
 * What a TypeScript program sees of the packages.
 */
import { describe, expect, it } from "@effect/vitest"
import { mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { inject } from "vitest"
import { PACKAGES, ROOT } from "../../packaging/pack.ts"
import { fromRepository, node, printed, write } from "./project.ts"

const project = inject("withoutAddon")
const installed = join(project, "node_modules/@strata")

/** All modules that programs can import, by the names they are imported by. */
const modules = PACKAGES.flatMap((name) =>
  readdirSync(join(installed, name, "dist"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".d.ts") && !path.split("/").includes("internal"))
    .map((path) => `@strata/${name}/${path.replace(/\.d\.ts$/, "")}`)
    .filter((id) => id !== "@strata/cli/bin")
    .map((id) => id.replace(/\/index$/, ""))
)

/** A declaration file without what is said in comments and strings. */
const declarations = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replaceAll(/"(?:[^"\\]|\\.)*"/g, "\"\"")

/** Whether a program needs nothing but what is installed here. */
const standsAlone = (program: string): boolean =>
  [...program.matchAll(/ from "([^"]+)"/g)].every(([, id]) => /^(@strata\/|@effect\/|effect\b)/.test(id!))

const settings = (resolution: Readonly<Record<string, string>>) => ({
  compilerOptions: {
    noEmit: true,
    target: "ES2024",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ["node"],
    ...resolution
  },
  include: ["*.ts"]
})

describe("types", () => {
  it.each([
    ["Node", { module: "NodeNext" }],
    ["a bundler", { module: "ESNext", moduleResolution: "bundler" }]
  ])("are complete and sound, as %s finds them", async (_, resolution) => {
    const directory = join(project, `types-${resolution.module}`)
    mkdirSync(directory)
    write(directory, "everything.ts", modules.map((id, at) => `export * as m${at} from "${id}"\n`).join(""))
    printed().filter(standsAlone).forEach((program, at) => write(directory, `readme-${at}.ts`, program))
    write(directory, "application.ts", fromRepository("test/examples/outside/application.ts"))
    write(directory, "simulation.ts", fromRepository("test/packaging/outside/simulation.ts"))
    write(directory, "tsconfig.json", JSON.stringify(settings(resolution)))
    const tsc = join(ROOT, "node_modules/.bin/tsc")
    expect(await node(directory, tsc, "-p", directory)).toEqual({ code: 0, stdout: "", stderr: "" })
  })

  it("have no any", () => {
    const found = PACKAGES.flatMap((name) =>
      readdirSync(join(installed, name, "dist"), { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith(".d.ts"))
        .map((path) => join(installed, name, "dist", path))
        .filter((path) => /\bany\b/.test(declarations(readFileSync(path, "utf8"))))
        .map((path) => relative(installed, path))
    )
    expect(found).toEqual([])
  })

  it("are there for every module, and so is its source", () => {
    expect(modules).toContain("@strata/core/tcp/Segment")
    for (const id of ["@strata/core", "@strata/drivers", "@strata/sockets", "@strata/simulation", "@strata/cli"]) {
      expect(modules).toContain(id)
    }
    const map = JSON.parse(readFileSync(join(installed, "core/dist/tcp/Segment.d.ts.map"), "utf8"))
    const source = join(installed, "core/dist/tcp", map.sources[0])
    expect(readFileSync(source, "utf8")).toBe(fromRepository("packages/core/src/tcp/Segment.ts"))
  })
})
