import { assert, describe, it } from "@effect/vitest"
import { type Linked, LinkedList } from "@strata/core/LinkedList"

class Item implements Linked<Item> {
  list: LinkedList<Item> | undefined = undefined
  before: Item | undefined = undefined
  behind: Item | undefined = undefined
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

const names = (list: LinkedList<Item>): string => [...list].map(({ name }) => name).join("")

describe("a linked list", () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => new Item(name)) as [Item, Item, Item]
  const filled = () => {
    const list = new LinkedList<Item>()
    for (const item of [a, b, c]) {
      item.list?.delete(item)
      list.add(item)
    }
    return list
  }

  for (const [left, rest] of [[a, "bc"], [b, "ac"], [c, "ab"]] as const) {
    it(`keeps its order when ${left.name} leaves, who comes back at the end`, () => {
      const list = filled()
      assert.isTrue(list.delete(left))
      assert.strictEqual(names(list), rest)
      assert.strictEqual(list.size, 2)
      list.add(left)
      assert.strictEqual(names(list), rest + left.name)
      assert.strictEqual(list.first?.name, (rest + left.name)[0])
    })
  }

  it("is told nothing of what is not in it", () => {
    const list = filled()
    const other = new LinkedList<Item>()
    assert.isFalse(other.delete(a))
    assert.strictEqual(names(list), "abc")
    assert.isTrue(list.delete(a))
    assert.isFalse(list.delete(a))
    assert.strictEqual(names(list), "bc")
  })

  it("leaves nothing behind in what has left it", () => {
    const list = filled()
    for (const item of list) list.delete(item)
    assert.strictEqual(list.size, 0)
    assert.isUndefined(list.first)
    for (const { before, behind, list: none } of [a, b, c]) {
      assert.deepStrictEqual([before, behind, none], [undefined, undefined, undefined])
    }
    list.add(b)
    assert.strictEqual(names(list), "b")
  })
})
