/**
 * When Linux is to receive in a thread of its own, by what turns of typical loads look like.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Pressure } from "../../packages/drivers/src/internal/Pressure.ts"

/** What a turn moves: frames, and octets of each. */
interface Turn {
  readonly read?: readonly [frames: number, octets: number]
  readonly written?: readonly [frames: number, octets: number]
  /** How many were written that are not TCP's, before they were joined. */
  readonly others?: number
}

const play = (pressure: Pressure, { others = 0, read = [0, 0], written = [0, 0] }: Turn): boolean => {
  for (let left = others; left > 0; left--) pressure.other()
  if (written[0] > 0) pressure.wrote(written[0], written[0] * written[1])
  return pressure.turn(read[0], read[0] * read[1])
}

/** What is wanted after each of so many turns; they come in the given order, again and again. */
const wantedIn = (pressure: Pressure, turns: ReadonlyArray<Turn>, count: number): ReadonlyArray<boolean> =>
  Array.from({ length: count }, (_, index) => play(pressure, turns[index % turns.length]!))

const changes = (wanted: ReadonlyArray<boolean>): number =>
  wanted.filter((now, index) => now !== (wanted[index - 1] ?? false)).length

const ACKNOWLEDGEMENT = 66

const frames = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 })))

/** As measured, a TAP of Linux at the other end. */
const ALONE: Readonly<Record<string, ReadonlyArray<Turn>>> = {
  "request and answer of one connection": [{ read: [1, 130], written: [1, 130] }],
  "a ping and its answer": [{ read: [1, 98], written: [1, 98], others: 1 }],
  "32 datagrams, their answers joined": [{ read: [16, 106], written: [1, 1066], others: 16 }],
  "32 datagrams, their answers one by one": [{ read: [16, 106], written: [16, 106], others: 16 }],
  "full datagrams, sent back": [{ read: [16, 1514], written: [16, 1514], others: 16 }],
  "a flood of datagrams": [{ written: [512, 1514], others: 512 }],
  "a flood of datagrams beside a transfer": [{ written: [512, 1514], others: 300, read: [16, ACKNOWLEDGEMENT] }],
  "large frames that arrive": [
    { read: [2, 65_226], written: [2, ACKNOWLEDGEMENT] },
    { read: [16, 65_226], written: [16, ACKNOWLEDGEMENT] }
  ],
  "large frames that leave": [{ read: [16, ACKNOWLEDGEMENT] }, { read: [16, ACKNOWLEDGEMENT], written: [60, 52_000] }]
}

const MANY: Readonly<Record<string, ReadonlyArray<Turn>>> = {
  "requests and answers of 64 connections": [{ read: [16, 130], written: [16, 130] }],
  "echoes of 1,000 connections": [
    { read: [16, ACKNOWLEDGEMENT] },
    { read: [16, 130], written: [16, 130] },
    { read: [16, 118], written: [14, 130] }
  ],
  "segments that arrive and are joined": [{ read: [180, 1514], written: [4, ACKNOWLEDGEMENT] }],
  "segments that arrive one by one": [{ read: [16, 1428], written: [1, ACKNOWLEDGEMENT] }],
  "segments that leave": [{ read: [16, ACKNOWLEDGEMENT], written: [24, 1514] }, { written: [74, 1514] }]
}

describe("the pressure on a device", () => {
  for (const [load, turns] of Object.entries(ALONE)) {
    it(`wants no thread for ${load}`, () => {
      assert.notInclude(wantedIn(new Pressure(), turns, 10_000), true)
    })
  }

  for (const [load, turns] of Object.entries(MANY)) {
    it(`wants a thread for ${load}, soon and for good`, () => {
      const wanted = wantedIn(new Pressure(), turns, 10_000)
      assert.isTrue(wanted[200])
      assert.strictEqual(changes(wanted), 1)
    })

    it(`is over it some dozens of turns after ${load}`, () => {
      for (const after of Object.values(ALONE)) {
        const pressure = new Pressure()
        wantedIn(pressure, turns, 1000)
        const wanted = wantedIn(pressure, after, 400)
        assert.isTrue(wanted[0])
        assert.isFalse(wanted[300])
        assert.isFalse(wanted.at(-1))
      }
    })
  }

  it("is not moved by a short burst, nor by a short pause", () => {
    const single = ALONE["request and answer of one connection"]!
    const many = MANY["segments that leave"]!
    const pressure = new Pressure()
    wantedIn(pressure, single, 1000)
    assert.notInclude(wantedIn(pressure, [...many, ...Array<Turn>(30).fill(single[0]!)], 1000), true)
    wantedIn(pressure, many, 1000)
    assert.notInclude(wantedIn(pressure, [...many, ...many, ...single], 1000), false)
  })

  it.prop(
    "changes its mind at most once in 64 turns, whatever comes",
    { loads: Arbitrary.array(Arbitrary.all([frames, frames]), { minLength: 1, maxLength: 200 }) },
    ({ loads }) => {
      const turns = loads.map(([read, written]): Turn => ({ read: [read, 100], written: [written, 100] }))
      const wanted = wantedIn(new Pressure(), turns, 1280)
      for (let start = 0; start < wanted.length; start += 64) {
        // The last one before tells whether the first one is a change.
        assert.isAtMost(changes(wanted.slice(start, start + 64)) - (wanted[start] ? 1 : 0), 1)
      }
    }
  )

  it("learns nothing from turns that write nothing", () => {
    const pressure = new Pressure()
    assert.notInclude(wantedIn(pressure, [{ read: [16, 1514] }], 1000), true)
    wantedIn(pressure, MANY["segments that leave"]!, 1000)
    assert.notInclude(wantedIn(pressure, [{}, { read: [16, ACKNOWLEDGEMENT] }], 1000), false)
    // The acknowledgements of a thousand connections come one after the other, and then their next requests.
    const acknowledgements = Array.from({ length: 62 }, (): Turn => ({ read: [16, ACKNOWLEDGEMENT] }))
    const requests = Array.from({ length: 62 }, (): Turn => ({ read: [16, 130], written: [16, 130] }))
    assert.notInclude(wantedIn(pressure, [...acknowledgements, ...requests], 10_000), false)
  })
})
