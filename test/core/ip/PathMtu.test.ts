import { assert, describe, it } from "@effect/vitest"
import { CAPACITY, FLOOR, LIFETIME, PathMtu } from "@strata/core/ip/PathMtu"

describe("PathMtu", () => {
  it("is the link's until somebody says less", () => {
    const path = new PathMtu()
    assert.strictEqual(path.get(1, 1500, 0), 1500)
    assert.strictEqual(path.learn(1, 1500, 1400, 0), 1400)
    assert.strictEqual(path.get(1, 1500, 0), 1400)
    assert.strictEqual(path.get(2, 1500, 0), 1500)
    assert.strictEqual(path.get(1, 1300, 0), 1300)
    assert.isFalse(path.isFragmentable(1, 0))
  })

  it("only shrinks, and is forgotten after ten minutes", () => {
    const path = new PathMtu()
    path.learn(1, 1500, 1000, 0)
    assert.strictEqual(path.learn(1, 1500, 1400, 1), 1000)
    assert.strictEqual(path.get(1, 1500, LIFETIME - 1), 1000)
    assert.strictEqual(path.get(1, 1500, LIFETIME), 1500)
    assert.strictEqual(path.size, 0)
    assert.strictEqual(path.learn(1, 1500, 1400, LIFETIME), 1400)
  })

  it("guesses where a router names none (RFC 1191 §7)", () => {
    const path = new PathMtu()
    assert.strictEqual(path.learn(1, 1500, 0, 0), 1492)
    assert.strictEqual(path.learn(1, 1492, 0, 0), 1006)
    assert.isUndefined(path.learn(1, 68, 0, 0))
  })

  it("does not believe what asks for no less, or for less than any link carries", () => {
    const path = new PathMtu()
    assert.isUndefined(path.learn(1, 1500, 1500, 0))
    assert.isUndefined(path.learn(1, 1500, 9000, 0))
    assert.isUndefined(path.learn(1, 1500, 67, 0))
    assert.strictEqual(path.size, 0)
  })

  it("lets nobody push it below the floor, but lets routers fragment from there", () => {
    const path = new PathMtu()
    assert.strictEqual(path.learn(1, 1500, 100, 0), FLOOR)
    assert.strictEqual(path.get(1, 1500, 0), FLOOR)
    assert.isTrue(path.isFragmentable(1, 0))
    assert.isFalse(path.isFragmentable(1, LIFETIME))
  })

  it("counts a destination as new when more is learned about it", () => {
    const path = new PathMtu()
    path.learn(0, 1500, 1400, 0)
    for (let destination = 1; destination < CAPACITY; destination++) path.learn(destination, 1500, 1400, 0)
    path.learn(0, 1400, 1000, 0)
    path.learn(CAPACITY, 1500, 1400, 0)
    assert.strictEqual(path.get(0, 1500, 0), 1000)
    assert.strictEqual(path.get(1, 1500, 0), 1500)
  })

  it("keeps a bounded number of destinations, the newest", () => {
    const path = new PathMtu()
    for (let destination = 0; destination <= CAPACITY; destination++) path.learn(destination, 1500, 1400, 0)
    assert.strictEqual(path.size, CAPACITY)
    assert.strictEqual(path.get(0, 1500, 0), 1500)
    assert.strictEqual(path.get(1, 1500, 0), 1400)
    assert.strictEqual(path.get(CAPACITY, 1500, 0), 1400)
  })
})
