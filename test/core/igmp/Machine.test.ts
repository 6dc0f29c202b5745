/**
 * What a host tells about its groups, as a pure function of what happens to it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Machine from "@strata/core/igmp/Machine"
import { deadline, empty, type Memberships, type Message } from "@strata/core/igmp/Memberships"
import type { Query } from "@strata/core/igmp/Queries"
import * as SourceFilter from "@strata/core/ip/SourceFilter"
import { IgmpRecordType } from "@strata/core/wire/IgmpHeader"
import { Arbitrary, Schema } from "effect"
import { Router } from "../../support/igmpRouter.ts"

const GROUP = 0xef01_0203
const OTHER = 0xef04_0506
const CHANNEL = 0xe801_0203
const { EVERYTHING, exclude, include, NOTHING } = SourceFilter

const names = Object.fromEntries(Object.entries(IgmpRecordType).map(([name, type]) => [type, name]))
const groupNames = new Map([[GROUP, "group"], [OTHER, "other"], [CHANNEL, "channel"]])

/** `toExclude group 1,2` for a record, `ReportV2 group` for a message of an older version. */
const words = (messages: ReadonlyArray<Message>): ReadonlyArray<string> =>
  messages.flatMap((message) =>
    message._tag === "ReportV3"
      ? [
        message.records.map(({ group, sources, type }) =>
          `${names[type]} ${groupNames.get(group)} ${[...sources].join()}`.trim()
        ).join("; ")
      ]
      : [`${message._tag} ${groupNames.get(message.group)}`]
  )

const longest = (bound: number) => bound

/** A host whose delays are a part of what they could be: at the end of it by default. */
const host = (part = 1) => {
  let state: Memberships = empty
  let now = 0
  const drawn: Array<number> = []
  const delay = (bound: number) => {
    drawn.push(bound)
    return Math.max(1, Math.round(bound * part))
  }
  const follow = (step: { readonly state: Memberships; readonly messages: ReadonlyArray<Message> }) => {
    state = step.state
    return words(step.messages)
  }
  const query = (asked: Partial<Query> = {}) => {
    const whole: Query = {
      version: 3,
      group: 0,
      sources: [],
      maxResponse: 10_000,
      robustness: 2,
      interval: 125_000,
      ...asked
    }
    state = Machine.query(state, whole, now, delay)
  }
  return {
    drawn,
    state: () => state,
    now: () => now,
    listen: (group: number, filter: SourceFilter.SourceFilter) =>
      follow(Machine.change(state, [[group, filter]], now, delay)),
    query,
    hear: (group: number) => {
      state = Machine.hear(state, group, now)
    },
    /** Lets time pass, and gives what is told meanwhile with the time at which it is. */
    pass: (duration: number): ReadonlyArray<string> => {
      const end = now + duration
      const told: Array<string> = []
      while (deadline(state) <= end) {
        now = deadline(state)
        for (const line of follow(Machine.elapse(state, now, delay))) told.push(`${now}: ${line}`)
      }
      now = end
      return told
    }
  }
}

describe("changes (RFC 9776 §5.1)", () => {
  it("are told at once, and once more within a second", () => {
    const one = host(0.5)
    assert.deepStrictEqual(one.listen(GROUP, EVERYTHING), ["toExclude group"])
    assert.deepStrictEqual(one.pass(10_000), ["500: toExclude group"])
    assert.deepStrictEqual(one.listen(GROUP, NOTHING), ["toInclude group"])
    assert.deepStrictEqual(one.pass(10_000), ["10500: toInclude group"])
    assert.deepStrictEqual(one.drawn, [1000, 1000])
    assert.strictEqual(one.state().groups.size, 0)
  })

  it("are told as often as the querier says", () => {
    for (const robustness of [1, 2, 7]) {
      const one = host()
      one.query({ robustness })
      one.pass(20_000)
      one.listen(GROUP, EVERYTHING)
      assert.strictEqual(one.pass(60_000).length, robustness - 1)
    }
  })

  const transitions: ReadonlyArray<
    readonly [SourceFilter.SourceFilter, SourceFilter.SourceFilter, ReadonlyArray<string>]
  > = [
    [include([1, 2]), include([2, 3]), ["allow group 3; block group 1"]],
    [exclude([1, 2]), exclude([2, 3]), ["allow group 1; block group 3"]],
    [include([1, 2]), exclude([2, 3]), ["toExclude group 2,3"]],
    [exclude([1, 2]), include([2, 3]), ["toInclude group 2,3"]],
    [NOTHING, include([1]), ["allow group 1"]],
    [include([1]), NOTHING, ["block group 1"]],
    [exclude([1]), NOTHING, ["toInclude group"]],
    [include([1]), include([1]), []]
  ]
  it.each(transitions)("from %o to %o are the records of the table there", (before, after, expected) => {
    const one = host()
    one.listen(GROUP, before)
    one.pass(10_000)
    assert.deepStrictEqual(one.listen(GROUP, after), expected)
  })

  it("take in what is left to tell of the same group", () => {
    const one = host()
    one.listen(GROUP, include([1, 2]))
    assert.deepStrictEqual(one.listen(GROUP, include([2, 3])), ["allow group 2,3; block group 1"])
    assert.deepStrictEqual(one.listen(GROUP, exclude([4])), ["toExclude group 4"])
    assert.deepStrictEqual(one.listen(GROUP, exclude([4, 5])), ["toExclude group 4,5"])
    assert.deepStrictEqual(one.listen(GROUP, NOTHING), ["toInclude group"])
    assert.deepStrictEqual(one.pass(10_000), ["1000: toInclude group"])
  })

  it("of several groups are told again together", () => {
    const one = host()
    one.listen(GROUP, EVERYTHING)
    one.pass(300)
    one.listen(OTHER, include([1]))
    assert.deepStrictEqual(one.pass(10_000), ["1000: toExclude group; allow other 1"])
  })

  const filter = Arbitrary.map(
    Arbitrary.all([
      Arbitrary.schema(Schema.Literals([GROUP, OTHER, CHANNEL])),
      Arbitrary.schema(Schema.Literals(["include", "exclude"])),
      Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 4])), { maxLength: 4 }),
      Arbitrary.schema(Schema.Literals([0, 1, 400, 5000]))
    ]),
    ([group, mode, sources, wait]) => ({
      group,
      // Channels have single sources.
      filter: { mode: group === CHANNEL ? "include" : mode, sources: new Set(sources) } as SourceFilter.SourceFilter,
      wait
    })
  )
  it.prop(
    "leave a router with what the host wants, also when it hears each change only the second time",
    { changes: Arbitrary.array(filter, { maxLength: 12 }) },
    ({ changes }) => {
      const attentive = new Router()
      const distracted = new Router()
      let state = empty
      let now = 0
      for (const { filter: wanted, group, wait } of changes) {
        const told = Machine.change(state, [[group, wanted]], now, longest)
        attentive.hear(told.messages)
        state = told.state
        const end = now + wait
        while (deadline(state) <= end) {
          now = deadline(state)
          const again = Machine.elapse(state, now, longest)
          attentive.hear(again.messages)
          distracted.hear(again.messages)
          state = again.state
        }
        now = end
      }
      while (deadline(state) < Infinity) {
        now = deadline(state)
        const again = Machine.elapse(state, now, longest)
        distracted.hear(again.messages)
        state = again.state
      }
      const last = new Map(changes.map(({ filter: wanted, group }) => [group, wanted]))
      for (const [group, wanted] of last) {
        assert.isTrue(SourceFilter.equals(attentive.forwards(group), wanted), "heard at once")
        assert.isTrue(SourceFilter.equals(distracted.forwards(group), wanted), "heard when it is told again")
      }
    },
    { arbitrary: { runs: 500 } }
  )
})

/** A host with two groups and a channel, all told. */
const member = (part = 1) => {
  const one = host(part)
  one.listen(GROUP, EVERYTHING)
  one.listen(OTHER, exclude([1]))
  one.listen(CHANNEL, include([1, 2]))
  one.pass(10_000)
  return one
}

describe("answers (RFC 9776 §5.2)", () => {
  it("to a general query tell all groups at once, within the time it allows", () => {
    const one = member(0.25)
    one.query({ maxResponse: 4000 })
    assert.deepStrictEqual(one.pass(60_000), ["11000: isExclude group; isExclude other 1; isInclude channel 1,2"])
    assert.strictEqual(one.drawn.at(-1), 4000)
  })

  it("do not come from a host without groups", () => {
    const one = host()
    one.query()
    assert.deepStrictEqual(one.pass(60_000), [])
  })

  it("to a query about a group tell that group, and nothing when nobody listens to it", () => {
    const one = member()
    one.query({ group: OTHER, maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(60_000), ["11000: isExclude other 1"])
    one.query({ group: 0xef09_0909, maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(60_000), [])
  })

  it("to a query about sources tell which of them are wanted", () => {
    const one = member()
    one.query({ group: CHANNEL, sources: [2, 3], maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(2000), ["11000: isInclude channel 2"])
    one.query({ group: OTHER, sources: [1, 2, 3], maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(2000), ["13000: isInclude other 2,3"])
    one.query({ group: OTHER, sources: [1], maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(2000), [])
  })

  it("wait for no second query when a general one is answered sooner (rule 1)", () => {
    const one = member()
    one.query({ maxResponse: 1000 })
    one.query({ group: OTHER, maxResponse: 2000 })
    one.query({ maxResponse: 5000 })
    assert.deepStrictEqual(one.pass(60_000), ["11000: isExclude group; isExclude other 1; isInclude channel 1,2"])
  })

  it("come sooner when a later general query wants them sooner (rule 2)", () => {
    const one = member()
    one.query({ maxResponse: 5000 })
    one.query({ maxResponse: 1000 })
    assert.strictEqual(one.pass(60_000).length, 1)
  })

  it("to queries about a group and about its sources are one, about the group (rule 4)", () => {
    for (const [first, second] of [[[], [1]], [[1], []]] as const) {
      const one = member()
      one.query({ group: CHANNEL, sources: first, maxResponse: 3000 })
      one.query({ group: CHANNEL, sources: second, maxResponse: 1000 })
      assert.deepStrictEqual(one.pass(60_000), ["11000: isInclude channel 1,2"])
    }
  })

  it("to queries about several sources are one, about all of them (rule 5)", () => {
    const one = member()
    one.query({ group: CHANNEL, sources: [1], maxResponse: 1000 })
    one.query({ group: CHANNEL, sources: [2, 3], maxResponse: 3000 })
    assert.deepStrictEqual(one.pass(60_000), ["11000: isInclude channel 1,2"])
  })

  it("remember a bounded number of sources, and tell the whole group beyond", () => {
    const one = member()
    const ask = (sources: ReadonlyArray<number>) => one.query({ group: CHANNEL, sources, maxResponse: 1000 })
    ask(Array.from({ length: 256 }, (_, index) => 1000 + index))
    assert.strictEqual(one.state().groups.get(CHANNEL)!.asked!.size, 256)
    ask([1])
    assert.deepStrictEqual(one.pass(60_000), ["11000: isInclude channel 1,2"])
  })

  it("say how things are then, not how they were", () => {
    const one = member()
    one.query({ group: GROUP })
    one.pass(100)
    one.listen(GROUP, NOTHING)
    one.listen(OTHER, include([7]))
    assert.deepStrictEqual(one.pass(60_000), ["11100: toInclude group; toInclude other 7"])
  })
})

/** Right after a query of that version. */
const after = (version: 1 | 2 = 2, part = 1) => {
  const one = member(part)
  one.query({ version })
  one.pass(10_000)
  return one
}

describe("older queriers (RFC 9776 §7.2)", () => {
  /** As version 1 and 2 have no such numbers, two queries lie 125 s apart. */
  const PRESENT = 2 * 125_000 + 10_000

  it.each([[1, "ReportV1"], [2, "ReportV2"]] as const)(
    "of version %i get a report for each group, but for channels (RFC 4604 §2.2)",
    (version, report) => {
      const one = member()
      one.query({ version, maxResponse: 4000 })
      const at = version === 1 ? 20_000 : 14_000
      assert.deepStrictEqual(one.pass(60_000), [`${at}: ${report} group`, `${at}: ${report} other`])
      one.query({ version, group: OTHER, maxResponse: 1000 })
      assert.strictEqual(one.pass(60_000).length, 1)
    }
  )

  it("are told of a join twice, and in version 2 of a leave", () => {
    const one = after()
    one.listen(GROUP, NOTHING)
    one.pass(1000)
    assert.deepStrictEqual(one.listen(GROUP, include([1])), ["ReportV2 group"])
    assert.deepStrictEqual(one.listen(GROUP, EVERYTHING), [])
    assert.deepStrictEqual(one.pass(60_000), ["31000: ReportV2 group"])
    assert.deepStrictEqual(one.listen(GROUP, NOTHING), ["Leave group"])
    assert.deepStrictEqual(one.listen(CHANNEL, NOTHING), [])
    assert.deepStrictEqual(one.pass(60_000), [])
    const older = after(1)
    assert.deepStrictEqual(older.listen(GROUP, NOTHING), [])
    assert.deepStrictEqual(older.listen(GROUP, EVERYTHING), ["ReportV1 group"])
  })

  it("need one report of each group: who hears another's keeps silent, and does not leave", () => {
    const one = after()
    one.query({ version: 2, maxResponse: 5000 })
    one.hear(GROUP)
    assert.deepStrictEqual(one.pass(60_000), ["25000: ReportV2 other"])
    assert.deepStrictEqual(one.listen(GROUP, NOTHING), [])
    assert.deepStrictEqual(one.listen(OTHER, NOTHING), ["Leave other"])
  })

  it("are not told a join again when another host reports the group", () => {
    const one = after()
    one.listen(0xef09_0909, EVERYTHING)
    one.hear(0xef09_0909)
    assert.deepStrictEqual(one.pass(60_000), [])
  })

  it("set a timer again only when it would run too long (RFC 2236 §3)", () => {
    const one = after()
    one.query({ version: 2, maxResponse: 5000 })
    one.pass(1000)
    one.query({ version: 2, maxResponse: 4500 })
    one.query({ version: 2, group: OTHER, maxResponse: 2000 })
    assert.deepStrictEqual(one.pass(60_000), ["23000: ReportV2 other", "25000: ReportV2 group"])
  })

  it("are taken to be there until nothing was heard of them for a while", () => {
    const one = member()
    const asked = one.now()
    one.query({ version: 2 })
    one.pass(asked + PRESENT - one.now() - 1)
    assert.deepStrictEqual(one.listen(0xef09_0909, EVERYTHING), ["ReportV2 undefined"])
    one.pass(1)
    assert.deepStrictEqual(one.listen(GROUP, NOTHING), ["toInclude group"])
    assert.strictEqual(one.state().version, 3)
  })

  it("of version 1 come before those of version 2, and both before version 3", () => {
    const one = member()
    one.query({ version: 2 })
    assert.strictEqual(one.state().version, 2)
    one.query({ version: 1 })
    assert.strictEqual(one.state().version, 1)
    one.query({ version: 2 })
    one.query({ version: 3 })
    assert.strictEqual(one.state().version, 1)
    one.pass(PRESENT)
    one.query({ version: 3 })
    assert.strictEqual(one.state().version, 3)
  })

  it("make a host forget what it was about to say in another version", () => {
    const one = host()
    one.listen(GROUP, EVERYTHING)
    one.listen(OTHER, EVERYTHING)
    one.listen(OTHER, NOTHING)
    one.query({ group: GROUP })
    one.query({ version: 2, group: 0xef09_0909, maxResponse: 1000 })
    assert.deepStrictEqual(one.pass(60_000), [])
    assert.deepStrictEqual([...one.state().groups.keys()], [GROUP])
  })

  it("do not keep a host of version 3 silent (RFC 4604 §2.2)", () => {
    const one = member()
    one.query()
    one.hear(GROUP)
    assert.include(one.pass(60_000).join(), "isExclude group")
  })
})

describe("channels (RFC 4604 §2.2)", () => {
  it("are not told as wanted from any source", () => {
    const one = host()
    assert.deepStrictEqual(one.listen(CHANNEL, EVERYTHING), [])
    one.query()
    assert.deepStrictEqual(one.pass(60_000), [])
    assert.deepStrictEqual(one.listen(CHANNEL, include([1])), ["toInclude channel 1"])
  })
})
