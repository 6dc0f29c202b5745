import { assert, describe, it } from "@effect/vitest"
import * as Table from "@strata/core/link/NeighbourTable"
import { Schema } from "effect"

const settings = Table.defaults
const ADDRESS = 0xc000_0201
const MAC = 0x0200_0000_0001
const OTHER_MAC = 0x0200_0000_0002

const used: Table.NeighbourEvent = { _tag: "Used" }
const elapsed: Table.NeighbourEvent = { _tag: "Elapsed" }
const answered = (hardware = MAC): Table.NeighbourEvent => ({ _tag: "Answered", hardware })
const heard = (hardware = MAC): Table.NeighbourEvent => ({ _tag: "Heard", hardware })

/** Plays events at their times, and writes what became of the neighbour. */
const play = (neighbour: Table.Neighbour, ...events: ReadonlyArray<readonly [number, Table.NeighbourEvent]>) => {
  let current = neighbour
  return events.map(([now, event]) => {
    const step = Table.transition(current, event, now, settings)
    current = step.neighbour
    return `${current.state}, ${step.action}${current.deadline === Infinity ? "" : `, until ${current.deadline}`}`
  })
}

const reachable = Table.transition(Table.wanted(ADDRESS, 0, settings), answered(), 0, settings).neighbour
const stale = Table.transition(reachable, elapsed, 30_000, settings).neighbour

describe("the states of a neighbour", () => {
  it("is asked for once a second, three times, given up, and forgotten", () => {
    assert.deepStrictEqual(Table.wanted(ADDRESS, 0, settings), {
      address: ADDRESS,
      state: "incomplete",
      hardware: 0,
      requests: 1,
      updated: 0,
      deadline: 1_000
    })
    assert.deepStrictEqual(
      play(
        Table.wanted(ADDRESS, 0, settings),
        [1_000, elapsed],
        [2_000, elapsed],
        [3_000, elapsed],
        [6_000, elapsed]
      ),
      [
        "incomplete, askEverybody, until 2000",
        "incomplete, askEverybody, until 3000",
        "failed, giveUp, until 6000",
        "failed, forget, until 6000"
      ]
    )
  })

  it("is reachable for 30 seconds after its answer, then stale", () => {
    assert.deepStrictEqual(
      play(Table.wanted(ADDRESS, 0, settings), [400, answered()], [30_400, elapsed]),
      ["reachable, sendWaiting, until 30400", "stale, nothing"]
    )
  })

  it("is probed five seconds after its first use when stale, alone three times, then among everybody", () => {
    assert.deepStrictEqual(
      play(
        stale,
        [40_000, used],
        [41_000, used],
        [45_000, elapsed],
        [46_000, elapsed],
        [47_000, elapsed],
        [48_000, elapsed],
        [49_000, answered(OTHER_MAC)]
      ),
      [
        "stale, nothing, until 45000",
        "stale, nothing, until 45000",
        "probing, askIt, until 46000",
        "probing, askIt, until 47000",
        "probing, askIt, until 48000",
        "incomplete, askEverybody, until 49000",
        "reachable, sendWaiting, until 79000"
      ]
    )
  })

  it("is reachable again when it answers a probe", () => {
    assert.deepStrictEqual(
      play(stale, [40_000, used], [45_000, elapsed], [45_001, answered()]).at(-1),
      "reachable, sendWaiting, until 75001"
    )
  })

  it("is stale with an address it told unasked", () => {
    for (const state of [Table.wanted(ADDRESS, 0, settings), reachable, stale]) {
      const { action, neighbour } = Table.transition(state, heard(OTHER_MAC), 50_000, settings)
      assert.strictEqual(action, "sendWaiting")
      assert.deepStrictEqual(neighbour, Table.met(ADDRESS, OTHER_MAC, 50_000))
    }
  })

  it("stays as it is when it repeats its address unasked: that proves no way there", () => {
    for (const state of [reachable, stale]) {
      assert.strictEqual(Table.transition(state, heard(), 20_000, settings).neighbour, state)
    }
  })

  it("keeps a fresh address against another claim for a second", () => {
    for (const claim of [answered(OTHER_MAC), heard(OTHER_MAC)]) {
      assert.strictEqual(Table.transition(reachable, claim, 999, settings).neighbour, reachable)
      assert.strictEqual(Table.transition(reachable, claim, 1_000, settings).neighbour.hardware, OTHER_MAC)
    }
  })

  it("is not moved by anything when static", () => {
    const fixed = Table.written(ADDRESS, MAC, 0)
    for (const event of [used, elapsed, answered(OTHER_MAC), heard(OTHER_MAC)]) {
      assert.deepStrictEqual(Table.transition(fixed, event, 1e9, settings), { neighbour: fixed, action: "nothing" })
    }
  })

  it("does nothing before its deadline", () => {
    for (const state of [Table.wanted(ADDRESS, 0, settings), reachable]) {
      const early = state.deadline - 0.001
      assert.deepStrictEqual(Table.transition(state, elapsed, early, settings), { neighbour: state, action: "nothing" })
    }
  })

  const Happening = Schema.Struct({
    event: Schema.Literals(["Used", "Elapsed", "Answered", "Heard", "Wait"]),
    other: Schema.Boolean
  })
  it.prop("never asks twice within a second, nor sends to an unknown address", [Schema.Array(Happening)], ([story]) => {
    let now = 0
    let neighbour = Table.wanted(ADDRESS, now, settings)
    let asked = now
    for (const { event, other } of story) {
      if (event === "Wait") {
        now += 700
        continue
      }
      if (event === "Elapsed") now = Math.max(now, neighbour.deadline === Infinity ? now : neighbour.deadline)
      const hardware = other ? OTHER_MAC : MAC
      const step = Table.transition(
        neighbour,
        event === "Answered" || event === "Heard" ? { _tag: event, hardware } : { _tag: event },
        now,
        settings
      )
      if (step.action === "askEverybody" || step.action === "askIt") {
        assert.isAtLeast(now - asked, settings.retransmitTime)
        asked = now
      }
      if (step.action === "forget") return
      neighbour = step.neighbour
      const known = neighbour.state !== "incomplete" && neighbour.state !== "failed"
      assert.strictEqual(neighbour.hardware !== 0, known)
      assert.isTrue(known || neighbour.deadline < Infinity, "somebody waits for ever")
    }
  })
})

const entry = (address: number, make = Table.met) => ({ neighbour: make(address, MAC, 0) })

describe("the table", () => {
  it("finds what was put, at both ends of the address space", () => {
    const table = Table.make(8)
    for (const address of [0x0000_0001, 0x7fff_ffff, 0x8000_0000, 0xdfff_ffff]) {
      const put = entry(address)
      assert.isUndefined(Table.put(table, put))
      assert.strictEqual(Table.get(table, address), put)
      assert.strictEqual(Table.get(table, address), put)
    }
    assert.isUndefined(Table.get(table, 2))
  })

  it("does not find what was removed or replaced, though it was found a moment ago", () => {
    const table = Table.make(8)
    const first = entry(1)
    const second = entry(1)
    Table.put(table, first)
    Table.get(table, 1)
    Table.put(table, second)
    assert.strictEqual(Table.get(table, 1), second)
    assert.strictEqual(Table.remove(table, 1), second)
    assert.isUndefined(Table.get(table, 1))
    assert.isUndefined(Table.remove(table, 1))
  })

  it("lets the one that was put the longest ago go when it is full", () => {
    const table = Table.make(3)
    const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((address) => entry(address))
    for (const put of [a, b, c]) Table.put(table, put!)
    Table.put(table, a!)
    assert.strictEqual(Table.put(table, d!), b)
    assert.strictEqual(Table.put(table, e!), c)
    assert.deepStrictEqual([...table.entries.values()], [a!, d!, e!])
  })

  it("neither counts static entries nor lets them go", () => {
    const table = Table.make(2)
    const fixed = [1, 2, 3].map((address) => entry(address, Table.written))
    for (const put of fixed) assert.isUndefined(Table.put(table, put))
    assert.isUndefined(Table.put(table, entry(10)))
    assert.isUndefined(Table.put(table, entry(11)))
    assert.strictEqual(Table.put(table, entry(12))?.neighbour.address, 10)
    for (const put of fixed) assert.strictEqual(Table.get(table, put.neighbour.address), put)
    Table.put(table, { neighbour: Table.written(11, MAC, 0) })
    assert.isUndefined(Table.put(table, entry(13)))
  })

  it("holds ten thousand", () => {
    const table = Table.make(10_000)
    for (let address = 0; address < 20_000; address++) Table.put(table, entry(0x0a00_0000 + address))
    assert.strictEqual(table.entries.size, 10_000)
    for (let address = 0; address < 20_000; address++) {
      assert.strictEqual(Table.get(table, 0x0a00_0000 + address) !== undefined, address >= 10_000)
    }
  })
})
