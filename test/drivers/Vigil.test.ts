import { assert, describe, it } from "@effect/vitest"
import { Vigil } from "../../packages/drivers/src/internal/Vigil.ts"

/** A device on which something comes after so many microseconds, again and again. */
const watching = (patience: number) => {
  let now = 1000
  const vigil = new Vigil(patience, () => now)
  const pass = (microseconds: number) => {
    now += microseconds / 1000
  }
  /** One event with one batch, behind which something comes after `delay`; how long it was looked for. */
  const event = (delay: number): number => {
    vigil.start()
    const began = now
    if (!vigil.begins()) return 0
    for (;;) {
      pass(1)
      if (now - began >= delay / 1000) {
        vigil.begins()
        return (now - began) * 1000
      }
      if (!vigil.goesOn()) return (now - began) * 1000
    }
  }
  return { vigil, pass, event }
}

describe("the vigil of a device", () => {
  it("lasts until something comes, and no longer than it may", () => {
    const { event } = watching(50)
    assert.closeTo(event(20), 20, 2)
    assert.closeTo(event(1000), 50, 2)
  })

  it("is none with no patience, and none before anything has come", () => {
    const { event, vigil } = watching(0)
    assert.strictEqual(event(1), 0)
    const other = watching(50).vigil
    other.start()
    assert.isFalse(other.goesOn())
    assert.isFalse(vigil.goesOn())
  })

  it("is left out more and more where it is in vain, and kept up where two of three are not", () => {
    const { event } = watching(50)
    const looks = Array.from({ length: 5000 }, () => event(1000)).filter((time) => time > 0)
    assert.isBelow(looks.length, 20)
    assert.isAbove(looks.length, 8)
    const useful = watching(50)
    const kept = Array.from({ length: 300 }, (_, index) => useful.event(index % 3 === 2 ? 1000 : 10))
    assert.isTrue(kept.every((time) => time > 0))
    const rarely = watching(50)
    const left = Array.from({ length: 300 }, (_, index) => rarely.event(index % 2 === 0 ? 1000 : 10))
    assert.isAbove(left.filter((time) => time === 0).length, 200)
  })

  it("begins again when something comes in time", () => {
    const { event } = watching(50)
    for (let count = 0; count < 5000; count++) event(1000)
    let looks = 0
    for (let count = 0; count < 5000; count++) if (event(10) > 0) looks++
    assert.isAbove(looks, 3000)
  })

  it("lets other events have their turn, however much comes in time", () => {
    const { pass, vigil } = watching(50)
    vigil.start()
    let time = 0
    while (vigil.begins()) {
      pass(10)
      time += 10
      assert.isTrue(vigil.goesOn() || time >= 500)
    }
    assert.closeTo(time, 500, 20)
  })
})
