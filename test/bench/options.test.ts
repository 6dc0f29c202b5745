import { describe, expect, it } from "vitest"
import { measurements } from "../../bench/suite.ts"
import { parse, pick } from "../../bench/support/options.ts"

describe("Options of the benchmark", () => {
  it("have defaults, and others for a quick run", () => {
    expect(parse([])).toMatchObject({ quick: false, rounds: 5, seconds: 1, patience: 120, only: [] })
    expect(parse(["--quick"])).toMatchObject({ quick: true, rounds: 3, seconds: 0.2, patience: 5 })
    expect(parse(["--quick", "--rounds", "7", "--seconds", "0.5"])).toMatchObject({ rounds: 7, seconds: 0.5 })
  })

  it("tell in one line what is wrong", () => {
    expect(parse(["--rounds", "0"])).toBe(`--rounds wants a number from 1 to 1000, and not "0"`)
    expect(parse(["--rounds", "1.5"])).toMatch(/^--rounds wants/)
    expect(parse(["--seconds", "soon"])).toBe(`--seconds wants a number from 0.05 to 600, and not "soon"`)
    expect(parse(["--sideways"])).toBe("Unknown option '--sideways'")
    expect(parse(["bulk"])).toMatch(/^Unexpected argument 'bulk'[^\n]*$/)
    expect(parse(["--json"])).toMatch(/^[^\n]*--json[^\n]*$/)
  })

  it("pick by parts of names, whatever their case", () => {
    const all = [{ name: "bulk send" }, { name: "bulk receive" }, { name: "udp 1" }]
    expect(pick(all, [])).toEqual(all)
    expect(pick(all, ["Send", "udp"])).toEqual([all[0], all[2]])
    expect(pick(all, ["tcp"])).toMatch(/^nothing has "tcp" in its name/)
  })

  it("can pick each measurement, by a name of its own", () => {
    expect(new Set(measurements.map(({ name }) => name)).size).toBe(measurements.length)
    for (const { name } of measurements) {
      expect(pick(measurements, [name]), name).toContainEqual(expect.objectContaining({ name }))
    }
  })
})
