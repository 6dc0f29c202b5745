import { describe, expect, it } from "@effect/vitest"
import { ConnectionTable } from "@strata/core/tcp/ConnectionTable"
import type { Endpoints } from "@strata/core/tcp/ControlBlock"
import * as Schema from "effect/Schema"

interface Item {
  readonly endpoints: Endpoints
  next: Item | undefined
}

const few = Schema.Literals([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
const fewPorts = Schema.Literals([1, 2, 65_535])
const Key = Schema.Struct({
  localAddress: few,
  localPort: fewPorts,
  remoteAddress: few,
  remotePort: fewPorts
})
const Step = Schema.Struct({ key: Key, remove: Schema.Boolean })

const get = (table: ConnectionTable<Item>, key: Endpoints) =>
  table.get(key.localAddress, key.localPort, key.remoteAddress, key.remotePort)

describe("ConnectionTable", () => {
  it.prop("does what a map by text would do", [Schema.Array(Step), few], ([steps, secret]) => {
    const table = new ConnectionTable<Item>(secret)
    const model = new Map<string, Item>()
    for (const { key, remove } of steps) {
      const text = JSON.stringify(key)
      const known = model.get(text)
      expect(get(table, key)).toBe(known)
      if (known !== undefined && remove) {
        expect(table.delete(known)).toBe(true)
        expect(table.delete(known)).toBe(false)
        model.delete(text)
      } else if (known === undefined && !remove) {
        const item = { endpoints: key, next: undefined }
        table.add(item)
        model.set(text, item)
      }
      expect(table.size).toBe(model.size)
    }
    expect(new Set(table)).toEqual(new Set(model.values()))
    for (const item of model.values()) expect(get(table, item.endpoints)).toBe(item)
  }, { arbitrary: { runs: 300 } })

  it("spreads the connections of one server", () => {
    const table = new ConnectionTable<Item>(12_345)
    for (let index = 0; index < 10_000; index++) {
      const endpoints = {
        localAddress: 0xc000_0202,
        localPort: 80,
        remoteAddress: 0x0a00_0000 + (index >>> 8),
        remotePort: 49_152 + (index & 0xff)
      }
      table.add({ endpoints, next: undefined })
    }
    let longest = 0
    for (let item of table) {
      let chain = 0
      for (let at: Item | undefined = item; at !== undefined; at = at.next) chain++
      longest = Math.max(longest, chain)
    }
    // 10,000 in 16,384 places: more than ten in one of them would be no accident.
    expect(longest).toBeLessThan(10)
  })
})
