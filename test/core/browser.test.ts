/**
 * `core` runs wherever JavaScript runs, and its rooms depend downwards only.
 */
import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const packages = fileURLToPath(new URL("../../packages/", import.meta.url))
const core = join(packages, "core/src")

const sources = (room: string): ReadonlyArray<string> =>
  readdirSync(room, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(room, name))

/** What a file imports or exports from elsewhere; types count too. */
const imports = (file: string): ReadonlyArray<string> =>
  [
    ...readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\b[^"]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm
    )
  ]
    .map((match) => match[1] ?? match[2] ?? match[3]!)

describe("core", () => {
  it("bundles for the browser, from its own files and effect alone", async () => {
    const outside = new Set<string>()
    const bundle = await rolldown({
      input: [...sources(core)],
      platform: "browser",
      treeshake: false,
      external: (id) => builtinModules.includes(id.replace(/^node:/, "")) || id.startsWith("node:"),
      onLog: (level, log, handler) => {
        if (log.code === "UNRESOLVED_IMPORT") outside.add(log.message)
        else if (level === "warn") handler(level, log)
      }
    })
    const { output } = await bundle.generate({ format: "esm" })
    await bundle.close()
    const chunks = output.filter((part) => part.type === "chunk")
    const emitted = new Set(chunks.map((chunk) => chunk.fileName))
    for (const chunk of chunks) {
      for (const id of [...chunk.imports, ...chunk.dynamicImports]) if (!emitted.has(id)) outside.add(id)
    }
    const foreign = chunks.flatMap((chunk) => chunk.moduleIds)
      .filter((id) => !id.startsWith(core) && !id.includes("/node_modules/effect/") && !id.startsWith("\0"))
    expect(chunks.flatMap((chunk) => chunk.moduleIds).filter((id) => id.startsWith(core)).length)
      .toBe(sources(core).length)
    expect([...outside]).toEqual([])
    expect(foreign).toEqual([])
  })

  it("depends on effect alone", () => {
    const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(core, "../package.json"), "utf8")
    )
    const names = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })
    expect(names).toEqual(["effect"])
    const foreign = sources(core).flatMap(imports).filter((id) => !/^(\.|effect\/|effect$)/.test(id))
    expect(foreign).toEqual([])
  })

  it("takes time and chance from its services only", () => {
    const forbidden =
      /\b(Date\.now|new Date(?!\(\w)|performance\.|Math\.random|set(?:Timeout|Interval|Immediate)|queueMicrotask|crypto\.|process\.|Buffer\b|require\()/
    const found = sources(core).flatMap((file) =>
      code(readFileSync(file, "utf8")).split("\n")
        .filter((line) => forbidden.test(line))
        .map((line) => `${relative(core, file)}: ${line.trim()}`)
    )
    expect(found).toEqual([])
  })

  it("keeps nothing that changes outside of a service", () => {
    const found = sources(core).flatMap((file) =>
      [
        ...readFileSync(file, "utf8").matchAll(
          /^(?:export )?(?:let|var) .*$|^const \w+ = (?:new (?:Map|Set|WeakMap)(?:<.*>)?\(\)|\[\]|\{\}).*$/gm
        )
      ]
        .map((match) => `${relative(core, file)}: ${match[0]}`)
    )
    expect(found).toEqual([])
  })
})

/** A source without its comments. */
const code = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\/\/.*$/gm, "")

/** The rooms of `core` from bottom to top; one may import its own floor and those below. */
const floors: ReadonlyArray<ReadonlyArray<string>> = [
  ["wire"],
  [".", "time", "device"],
  ["link", "log"],
  ["ip"],
  ["igmp"],
  ["udp", "tcp"]
]
/** Files at the top of `core` that compose or name all the others. */
const roof = ["index.ts", "NetworkStack.ts"]
const floorOf = (file: string): number => {
  const inside = relative(core, file)
  if (roof.includes(inside)) return floors.length
  const room = inside.includes("/") ? inside.split("/")[0]! : "."
  return floors.findIndex((rooms) => rooms.includes(room))
}

describe("directions", () => {
  it("every room of core has its floor, and imports none above it", () => {
    const upwards = sources(core).flatMap((file) => {
      const floor = floorOf(file)
      if (floor < 0) return [`${relative(core, file)} is in a room without a floor`]
      return imports(file)
        .filter((id) => id.startsWith("."))
        .map((id) => resolve(dirname(file), id))
        .filter((target) => floorOf(target) > floor)
        .map((target) => `${relative(core, file)} imports ${relative(core, target)}`)
    })
    expect(upwards).toEqual([])
  })

  it("transports do not know each other", () => {
    const crossed = sources(core).flatMap((file) => {
      const room = relative(core, file).split("/")[0]!
      const other = room === "udp" ? "../tcp/" : room === "tcp" ? "../udp/" : undefined
      return other === undefined ? [] : imports(file).filter((id) => id.startsWith(other))
    })
    expect(crossed).toEqual([])
  })

  const below: Readonly<Record<string, ReadonlyArray<string>>> = {
    core: [],
    drivers: ["core"],
    sockets: ["core"],
    simulation: ["core", "drivers", "sockets"],
    cli: ["core", "drivers", "sockets", "simulation"]
  }
  it.each(readdirSync(packages))("%s imports only packages below it", (name) => {
    const room = join(packages, name, "src")
    const packageOf = (file: string, id: string) =>
      id.startsWith("@strata/") ? id.split("/")[1]! : relative(packages, resolve(dirname(file), id)).split("/")[0]!
    const others = sources(room).flatMap((file) =>
      imports(file)
        .filter((id) => id.startsWith("@strata/") || id.startsWith("."))
        .map((id) => packageOf(file, id))
        .filter((other) => other !== name && !below[name]?.includes(other))
        .map((other) => `${relative(packages, file)} imports ${other}`)
    )
    expect(Object.keys(below)).toContain(name)
    expect(others).toEqual([])
  })
})
