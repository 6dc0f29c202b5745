/**
 * The packages in a browser: what of them is in a bundle, how large it is, and two hosts that talk in a page.
 */
import { describe, expect, it } from "@effect/vitest"
import { cpSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, inject } from "vitest"
import { bundle } from "../../packaging/bundle.ts"
import { PACKAGES, ROOT } from "../../packaging/pack.ts"
import { makePage } from "../../packaging/page.ts"
import { measure, type Size } from "../../packaging/sizes.ts"
import { isMissing } from "../support/tools.ts"
import { fromRepository, node, run, write } from "./project.ts"

const project = inject("withoutAddon")

/** Modules that have no use but with the addon, or for Node. */
const NATIVE = /\/drivers\/dist\/(?:Tap|PacketSocket|Native|internal\/(?:attachNative|NativeDriver|Ring))\.js$/
const FOR_NODE = /\/sockets\/dist\/(?:StrataTls|StrataHttp|node\/.*|internal\/TransportDuplex)\.js$|platform-node/

describe("a bundle", () => {
  let sizes: ReadonlyArray<Size> = []
  beforeAll(async () => {
    sizes = await measure(project)
  }, 60_000)

  it("has nothing native and nothing of Node, and imports nothing", () => {
    expect(sizes.length).toBeGreaterThan(3)
    for (const { imports, modules, what } of sizes) {
      expect([what, imports]).toEqual([what, []])
      expect(modules.filter((path) => NATIVE.test(path) || FOR_NODE.test(path))).toEqual([])
    }
    const simulation = sizes.at(-1)!.modules
    expect(simulation.some((path) => path.endsWith("/simulation/dist/Network.js"))).toBe(true)
  })

  it("has those where a program uses them, which shows that they would be seen", async () => {
    const { modules } = await bundle(project, `import { Tap } from "@strata/drivers"; globalThis.used = Tap.layer`)
    expect(modules.filter((path) => NATIVE.test(path)).length).toBeGreaterThan(3)
  })

  it("has only what is used: a host without TCP has no TCP, and what uses nothing is empty", async () => {
    const withTcp = sizes.filter(({ modules }) => modules.some((path) => path.endsWith("/core/dist/tcp/Host.js")))
    expect(withTcp).toEqual(sizes.slice(-2))
    const unused = PACKAGES.filter((name) => name !== "cli").map((name) => `import "@strata/${name}"`)
    expect((await bundle(project, unused.join("\n"))).modules).toEqual([])
  })

  it("is as large as the README says", () => {
    const rows = [...fromRepository("README.md").matchAll(/^\| (.*) \| ([\d.]+) kB \| ([\d.]+) kB \|$/gm)]
    const told = rows.map(([, what, minified, gzip]) => ({ what, minified: Number(minified), gzip: Number(gzip) }))
    expect(told.map(({ what }) => what)).toEqual(sizes.map(({ what }) => what))
    for (const [at, { gzip, minified, what }] of sizes.entries()) {
      const off = [told[at]!.minified / (minified / 1000), told[at]!.gzip / (gzip / 1000)]
      const wrong = off.filter((ratio) => Math.abs(ratio - 1) > 0.05)
      expect(wrong, `${what} has ${minified} octets, ${gzip} compressed: npm run sizes`).toEqual([])
    }
  })
})

/** Runs the page's conversation in Node, with the settings of its form. */
const IN_NODE = `
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { converse } from "./conversation.ts"

const value = (name: string) => Number(new RegExp('name="' + name + '"[^>]* value="(\\\\d+)"').exec(readFileSync("index.html", "utf8"))![1])
const settings = { seed: value("seed"), latency: value("latency"), loss: value("loss") / 100, octets: value("octets") }
const { duration, flights, received } = await Effect.runPromise(converse(settings))
const lost = flights.filter((flight) => flight.arrived === undefined).length
console.log(JSON.stringify({ duration, received, packets: flights.length, lost, words: flights.map((flight) => flight.words) }))
`

/** The text of an element that the browser has written down. */
const plain = (text: string): string => text.replaceAll("&gt;", ">").replaceAll("&amp;", "&")

describe.skipIf(isMissing("chromium"))("a page", () => {
  it("has two hosts that talk, packet for packet as they do in Node", async () => {
    const directory = join(project, "browser")
    mkdirSync(directory)
    for (const name of ["index.html", "main.ts", "conversation.ts"]) {
      cpSync(join(ROOT, "examples/browser", name), join(directory, name))
    }
    const page = write(directory, "page.html", await makePage(directory))
    const browser = await run(directory, "chromium", [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      `--user-data-dir=${join(directory, "profile")}`,
      "--virtual-time-budget=20000",
      "--dump-dom",
      `file://${page}`
    ])
    write(directory, "in-node.ts", IN_NODE)
    const told = await node(directory, "in-node.ts")
    expect([told.code, told.stderr]).toEqual([0, ""])
    const { duration, lost, packets, received, words } = JSON.parse(told.stdout)
    expect(received).toBe(20_000)
    expect(lost).toBeGreaterThan(0)
    const output = /<output>(.*?)<\/output>/.exec(browser.stdout)?.[1]
    expect(output, browser.stderr).toBe(
      `${received} octets in ${duration.toFixed(3)} ms of virtual time: ${packets} packets, ${lost} of them lost`
    )
    const titles = [...browser.stdout.matchAll(/<title>[\d.]+ ms: (.*?)(?:, lost)?<\/title>/g)]
    expect(titles.map((match) => plain(match[1]!))).toEqual(words)
  })

  it("type checks", async () => {
    const tsc = join(ROOT, "node_modules/.bin/tsc")
    expect(await node(ROOT, tsc, "-p", "examples/browser")).toEqual({ code: 0, stdout: "", stderr: "" })
  })
})
