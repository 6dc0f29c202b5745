/**
 * The page about what can be seen of TCP names every field and every counter, and none that is not there.
 */
import { assert, describe, it } from "@effect/vitest"
import { NetworkStack, Statistics } from "@strata/core"
import { LINUX_COUNTERS } from "@strata/core/tcp/Netstat"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { connected, pair, virtually } from "../support/tcpHosts.ts"

const page = readFileSync(new URL("../../docs/tcp-info.md", import.meta.url), "utf8")

const section = (title: string): string => page.split(/^## /m).find((part) => part.startsWith(`${title}\n`))!

/** The cells of its rows' first two columns. */
const rows = (text: string): ReadonlyArray<readonly [string, string]> =>
  [...text.matchAll(/^\| (`[^|]*) \| ([^|]*)\|/gm)].map(([, first, second]) => [first!, second!.trim()])

const words = (text: string): Array<string> => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)

/** Every value within, by the path to it. */
const paths = (value: unknown, path: string): ReadonlyArray<string> =>
  value === null || typeof value !== "object" || /^(local|remote|counts)$/.test(path)
    ? [path]
    : Object.entries(value).flatMap(([key, inner]) => paths(inner, path === "" ? key : `${path}.${key}`))

describe("docs/tcp-info.md", () => {
  it(
    "has every field of TcpInfo",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* pair())
      const told = rows(section("One connection")).flatMap(([cell]) => {
        const [first, ...others] = words(cell)
        const parent = first!.slice(0, first!.lastIndexOf("."))
        return [first!, ...others.map((word) => word.startsWith(".") ? `${parent}${word}` : word)]
      })
      assert.sameMembers(told, [...paths(client.info(), "")])
    }))
  )

  it("has the counters of Linux as they are computed", () => {
    const told = rows(section("What the stack counts")).filter(([cell]) => cell.startsWith("`Tcp"))
    const computed = LINUX_COUNTERS.map(({ less = [], name, of, table }) => {
      const sum = of.map((counter) => `\`${counter}\``).join(" + ")
      return [`\`${table}${name}\``, [sum, ...less.map((counter) => `\`${counter}\``)].join(" − ")]
    })
    assert.deepStrictEqual(told.map(([first, second]) => [first, second]), computed)
  })

  it.effect("has every other counter of TCP", () =>
    Effect.gen(function*() {
      const names = new Set<string>()
      ;(yield* Statistics).listen(({ name }) => void names.add(name))
      const shared = new Set(LINUX_COUNTERS.flatMap(({ less = [], of }) => [...of, ...less]))
      const own = [...names].filter((name) => name.startsWith("tcp.") && !shared.has(name))
      const told = rows(section("What the stack counts")).filter(([cell]) => cell.startsWith("`tcp."))
      assert.sameMembers(told.flatMap(([cell]) => words(cell)).filter((word) => !word.includes("<")), own)
      for (const name of shared) assert.isTrue(names.has(name) || name.startsWith("tcp.dropped."), name)
    }).pipe(Effect.provide(NetworkStack.layer)))
})
