import { assert, describe, it } from "@effect/vitest"
import { copiedOptions, nextLength } from "@strata/core/ip/Fragmentation"
import { Identification } from "@strata/core/ip/Identification"

/** A generator for tests: any sequence that is not constant. */
const random = (seed: number) => {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0)
}

const starts = (identification: Identification) =>
  Array.from({ length: 32 }, (_, index) => identification.next(1, 2 + index * 256, 17))

describe("Fragmentation", () => {
  it("cuts in units of eight octets, but for the last", () => {
    assert.strictEqual(nextLength(4000, 1500, 20), 1480)
    assert.strictEqual(nextLength(4000, 1499, 20), 1472)
    assert.strictEqual(nextLength(1480, 1500, 20), 1480)
    assert.strictEqual(nextLength(1479, 1499, 20), 1479)
    assert.strictEqual(nextLength(9, 68, 60), 8)
    assert.strictEqual(nextLength(7, 68, 60), 7)
    assert.strictEqual(nextLength(9, 67, 60), 0)
    assert.strictEqual(nextLength(9, 40, 60), 0)
  })

  it("copies the options that ask for it", () => {
    const recordRoute = [7, 7, 4, 0, 0, 0, 0]
    const routerAlert = [148, 4, 0, 0]
    const looseRoute = [131, 7, 4, 10, 0, 0, 1]
    const options = Uint8Array.from([1, ...recordRoute, ...routerAlert, 1, ...looseRoute])
    assert.deepStrictEqual([...copiedOptions(options)], [...routerAlert, ...looseRoute, 0])
    assert.deepStrictEqual([...copiedOptions(Uint8Array.from([...recordRoute, 0]))], [])
    assert.deepStrictEqual([...copiedOptions(Uint8Array.from([...routerAlert, 0, 148, 4, 0]))], routerAlert)
  })
})

describe("Identification", () => {
  it("repeats only after 65,535 others in one flow", () => {
    const identification = new Identification(random(1))
    const seen = new Set<number>()
    for (let index = 0; index < 0x1_0000; index++) seen.add(identification.next(1, 2, 17))
    assert.strictEqual(seen.size, 0x1_0000)
  })

  it("starts each flow elsewhere, and each stack", () => {
    const one = new Identification(random(1))
    const other = new Identification(random(2))
    const first = starts(one)
    assert.isAtLeast(new Set(first).size, 24)
    assert.notDeepEqual(first, starts(other))
  })
})
