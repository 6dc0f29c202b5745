import { assert, describe, it } from "@effect/vitest"
import { replyOptions } from "@strata/core/ip/EchoOptions"

const entry = { address: 0xc000_0202, time: 0x0102_0304 }
const reply = (...options: ReadonlyArray<number>) => {
  const replied = replyOptions(Uint8Array.from(options), entry)
  return replied === undefined ? undefined : [...replied]
}

describe("EchoOptions", () => {
  it("enters this host into a recorded route", () => {
    assert.deepStrictEqual(reply(7, 7, 4, 0, 0, 0, 0, 0), [7, 7, 8, 192, 0, 2, 2, 0])
    assert.deepStrictEqual(
      reply(1, 7, 11, 8, 10, 0, 0, 1, 0, 0, 0, 0),
      [7, 11, 12, 10, 0, 0, 1, 192, 0, 2, 2, 0]
    )
  })

  it("leaves the request as it is, whatever memory it is in", () => {
    const request = Buffer.from([1, 7, 7, 4, 0, 0, 0, 0])
    assert.deepStrictEqual([...replyOptions(request, entry)!], [7, 7, 8, 192, 0, 2, 2, 0])
    assert.deepStrictEqual([...request], [1, 7, 7, 4, 0, 0, 0, 0])
  })

  it("leaves a route alone that is full, or points nowhere", () => {
    for (const pointer of [0, 3, 5, 8, 255]) {
      assert.deepStrictEqual(reply(7, 7, pointer, 10, 0, 0, 1, 0), [7, 7, pointer, 10, 0, 0, 1, 0])
    }
  })

  it("enters the time, the address too where that is asked for", () => {
    assert.deepStrictEqual(reply(68, 8, 5, 0x00, 0, 0, 0, 0), [68, 8, 9, 0x00, 1, 2, 3, 4])
    assert.deepStrictEqual(
      reply(68, 12, 5, 0x01, 0, 0, 0, 0, 0, 0, 0, 0),
      [68, 12, 13, 0x01, 192, 0, 2, 2, 1, 2, 3, 4]
    )
    assert.deepStrictEqual(
      reply(68, 12, 5, 0x03, 192, 0, 2, 2, 0, 0, 0, 0),
      [68, 12, 13, 0x03, 192, 0, 2, 2, 1, 2, 3, 4]
    )
    assert.deepStrictEqual(
      reply(68, 12, 5, 0x03, 10, 0, 0, 1, 0, 0, 0, 0),
      [68, 12, 5, 0x03, 10, 0, 0, 1, 0, 0, 0, 0]
    )
  })

  it("counts itself where there is no room, to fifteen", () => {
    assert.deepStrictEqual(reply(68, 8, 9, 0x00, 9, 9, 9, 9), [68, 8, 9, 0x10, 9, 9, 9, 9])
    assert.deepStrictEqual(reply(68, 8, 9, 0xf0, 9, 9, 9, 9), [68, 8, 9, 0xf0, 9, 9, 9, 9])
    assert.deepStrictEqual(reply(68, 8, 5, 0x01, 9, 9, 9, 9), [68, 8, 5, 0x11, 9, 9, 9, 9])
    assert.deepStrictEqual(reply(68, 4, 4, 0x00), [68, 4, 4, 0x00])
  })

  it("sends nothing else back", () => {
    assert.isUndefined(reply(148, 4, 0, 0))
    assert.isUndefined(reply(1, 1, 1, 0))
    assert.isUndefined(reply())
    assert.deepStrictEqual(reply(148, 4, 0, 0, 7, 3, 4, 0), [7, 3, 4, 0])
  })
})
