/**
 * The scoreboard against a model that knows of each octet by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as News from "@strata/core/tcp/News"
import { initial, markOf } from "@strata/core/tcp/RateSampling"
import * as Sequence from "@strata/core/tcp/Sequence"
import * as Transmissions from "@strata/core/tcp/Transmissions"
import { type Chance, chance } from "../../../support/tcpChannel.ts"

interface Octet {
  readonly state: "sent" | "lost" | "sacked"
  readonly sentAt: number
  readonly sends: number
}

/** Every octet from SND.UNA on, and how far anything was delivered. */
interface Model {
  readonly una: number
  readonly octets: ReadonlyArray<Octet>
  /** Octets from `una`. */
  readonly highest: number
  /** Selective acknowledgements were taken back: `highest` may stand within a run. */
  readonly reneged: boolean
}

/** Checked for every octet, so without the assertion library's ceremony. */
const same = (actual: unknown, expected: unknown, what: string): void => {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

const SENT = { state: "sent", sends: 1 } as const

const within = (octets: ReadonlyArray<Octet>, from: number, to: number, change: (octet: Octet) => Octet) =>
  octets.map((octet, index) => index >= from && index < to ? change(octet) : octet)

const lost = (octet: Octet): Octet => octet.state === "sent" ? { ...octet, state: "lost" } : octet

const count = (octets: ReadonlyArray<Octet>, state: Octet["state"]): number =>
  octets.reduce((sum, octet) => sum + Number(octet.state === state), 0)

/** Every run must say of its octets what the model says, and together they must cover `una` to `nxt`. */
const compare = (all: Transmissions.Transmissions, { highest, octets, una }: Model): void => {
  same(all.una, una, "SND.UNA")
  same(all.nxt, Sequence.add(una, octets.length), "SND.NXT")
  let at = 0
  for (let index = 0; index < Transmissions.size(all); index++) {
    const run = Transmissions.at(all, index)
    const end = Sequence.difference(una, run.right)
    same(end > at, true, "a run has octets")
    // The first ones of the board and of the queue may begin earlier.
    const isCut = index === 0 || index === all.board.length
    same(isCut ? Sequence.difference(una, run.left) <= at : Sequence.difference(una, run.left) === at, true, "adjoins")
    for (; at < end; at++) {
      const { sends, sentAt, state } = octets[at]!
      same(run.state, state, `state of octet ${at}`)
      // What is selectively acknowledged is not told apart any more; what is lost not by its time.
      if (state !== "sacked") same(run.sends, sends, `sends of octet ${at}`)
      if (state === "sent") same(run.sentAt, sentAt, `time of octet ${at}`)
    }
  }
  same(at, octets.length, "all octets are in runs")
  same(Transmissions.outstanding(all), octets.length, "outstanding")
  same(all.sacked, count(octets, "sacked"), "sacked")
  same(all.lost, count(octets, "lost"), "lost")
  same(Transmissions.inFlight(all), count(octets, "sent"), "in flight")
  same(Transmissions.isClean(all), all.edge === una, "clean")
  same(Sequence.difference(una, all.highest), highest, "highest")
  const first = octets.findIndex(({ state }) => state === "lost")
  const firstLost = Transmissions.firstLost(all)
  same(firstLost === undefined ? -1 : Math.max(0, Sequence.difference(una, firstLost.left)), first, "first lost")
  const last = octets.findLastIndex(({ state }) => state === "lost")
  for (const beyond of [0, last, last + 1]) {
    same(Transmissions.isLostBeyond(all, Sequence.add(una, beyond)), last >= beyond && last >= 0, "lost beyond")
  }
  const repeated = octets.reduce((sum, { sends, state }) => sum + Number(state === "sent" && sends > 1), 0)
  same(Transmissions.repeated(all), repeated, "repeated")
}

interface State {
  readonly all: Transmissions.Transmissions
  readonly model: Model
}

/** What an acknowledgement must have told of the octets it delivers; of what was thought lost, the time may be that of a neighbour. */
const compareNews = (
  news: News.News,
  delivered: ReadonlyArray<Octet & { readonly end: number }>,
  reneged: boolean
): void => {
  same(news.delivered, delivered.length, "delivered")
  if (delivered.length === 0 || delivered.some(({ state }) => state !== "sent")) return
  const latest = (octets: ReadonlyArray<Octet>) => Math.max(-Infinity, ...octets.map(({ sentAt }) => sentAt))
  const originals = delivered.filter(({ sends }) => sends === 1)
  const newest = delivered.filter(({ sentAt }) => sentAt === latest(delivered))
  same(news.newest?.sentAt, latest(delivered), "newest")
  same(news.newestEnd, newest.reduce((far, { end }) => Sequence.latest(far, end), newest[0]!.end), "its end")
  same(news.timedAt ?? -Infinity, latest(originals), "timed")
  const isOvertaken = originals.some(({ end }) => Sequence.lessThan(end, news.highest))
  same(reneged ? news.reordered && !isOvertaken : news.reordered !== isOvertaken, false, "reordered")
}

/** Sends, acknowledges, loses and so on at random; `now` is the time. */
const step = (random: Chance, { all, model }: State, now: number): State => {
  const { octets, una } = model
  const length = octets.length
  const from = random.below(length)
  const to = from + 1 + random.below(length - from)
  const [left, right] = [Sequence.add(una, from), Sequence.add(una, to)]
  const news = News.none(all, una, now, 0, undefined)
  const mark = markOf({ ...initial, delivered: now })
  const kind = length === 0 ? 0 : length > 200 ? 1 + random.below(7) : random.below(8)
  switch (kind) {
    case 0: {
      const more = 1 + random.below(20)
      const sent = Array.from({ length: more }, (): Octet => ({ ...SENT, sentAt: now }))
      return {
        all: Transmissions.sent(all, all.nxt, Sequence.add(all.nxt, more), now, mark),
        model: { ...model, octets: [...octets, ...sent] }
      }
    }
    case 1:
    case 2: {
      const next = Transmissions.acknowledge(all, right, news)
      const told = octets.slice(0, to).map((octet, index) => ({ ...octet, end: Sequence.add(una, index + 1) }))
      compareNews(news, told.filter(({ state }) => state !== "sacked"), model.reneged)
      // Of what is selectively acknowledged, what was sent twice stands for its neighbours.
      const isAmbiguous = told.some(({ sends }) => sends > 1)
      if (isAmbiguous || octets.every(({ state }) => state !== "sacked")) same(news.ambiguous, isAmbiguous, "Karn")
      return {
        all: next,
        model: { ...model, una: right, octets: octets.slice(to), highest: Math.max(0, model.highest - to) }
      }
    }
    case 3:
    case 4: {
      const next = Transmissions.select(all, left, right, news)
      const told = octets.map((octet, index) => ({ ...octet, end: Sequence.add(una, index + 1) })).slice(from, to)
      compareNews(news, told.filter(({ state }) => state !== "sacked"), model.reneged)
      return {
        all: next,
        model: {
          ...model,
          octets: within(octets, from, to, (octet) => ({ ...octet, state: "sacked" })),
          highest: Math.max(model.highest, to)
        }
      }
    }
    case 5:
      return {
        all: Transmissions.lose(all, left, right),
        model: { ...model, octets: within(octets, from, to, lost) }
      }
    case 6: {
      if (random.unit() < 0.2) {
        // Sends are joined when runs are selectively acknowledged, so they are taken from the scoreboard.
        const renegade = Transmissions.renege(all)
        const states = octets.map(({ state }) => state === "sacked" ? "lost" : state)
        const taken = octetsOf(renegade)
        taken.forEach(({ state }, index) => same(state, states[index], "reneged"))
        return { all: renegade, model: { ...model, octets: taken, reneged: true } }
      }
      if (random.unit() < 0.2) {
        // The time of what was thought lost may be that of a neighbour.
        const unlost = Transmissions.unlose(all)
        const taken = octetsOf(unlost)
        taken.forEach(({ sends, state }, index) => {
          const was = octets[index]!
          same(state, was.state === "lost" ? "sent" : was.state, "not lost after all")
          if (state !== "sacked") same(sends, was.sends, "sends of what was not lost")
        })
        return { all: unlost, model: { ...model, octets: taken } }
      }
      const before = now - random.below(40)
      const isLost = (octet: Pick<Octet, "state" | "sentAt">) => octet.state === "sent" && octet.sentAt <= before
      return {
        all: Transmissions.loseIf(all, isLost),
        model: { ...model, octets: octets.map((octet) => isLost(octet) ? lost(octet) : octet) }
      }
    }
    default: {
      const candidates = octets.slice(from, to)
      const again = candidates.findIndex(({ state }) => state === "sacked")
      const end = again < 0 ? to : from + again
      if (end === from) return { all, model }
      return {
        all: Transmissions.resent(all, left, Sequence.add(una, end), now, mark),
        model: {
          ...model,
          octets: within(octets, from, end, ({ sends }) => ({ state: "sent", sends: sends + 1, sentAt: now }))
        }
      }
    }
  }
}

/** The octets as the runs have them. */
const octetsOf = (all: Transmissions.Transmissions): ReadonlyArray<Octet> => {
  const octets: Array<Octet> = []
  for (let index = 0; index < Transmissions.size(all); index++) {
    const { right, sends, sentAt, state } = Transmissions.at(all, index)
    while (octets.length < Sequence.difference(all.una, right)) octets.push({ state, sends, sentAt })
  }
  return octets
}

/** Everything that a value says, so that a later look at it can be compared. */
const snapshot = (all: Transmissions.Transmissions): string => {
  const runs = Array.from({ length: Transmissions.size(all) }, (_, index) => Transmissions.at(all, index))
  return runs.map(({ left, right, sends, sentAt, state }) => `${left}-${right} ${state} ${sends} ${sentAt}`).join() +
    ` ${all.una} ${all.nxt} ${all.sacked} ${all.lost} ${all.highest}`
}

describe("the scoreboard", () => {
  it("says of every octet what a model says that knows each by itself, and older values stay as they were", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = chance(seed)
      const una = random.one([0, 1, 0xffff_fff0, 0xffff_ff00, 0x7fff_ffe0, random.below(2 ** 32)])
      let state: State = { all: Transmissions.empty(una), model: { una, octets: [], highest: 0, reneged: false } }
      const older: Array<{ readonly all: Transmissions.Transmissions; readonly said: string; readonly state: State }> =
        []
      for (let now = 1; now <= 120; now++) {
        try {
          // Time stands still now and then; and now and then the story goes on from an older value.
          const time = now - (now % 3 === 0 ? 1 : 0)
          if (older.length > 0 && random.unit() < 0.1) state = random.one(older).state
          state = step(random, state, time)
          compare(state.all, state.model)
          older.push({ all: state.all, said: snapshot(state.all), state })
          if (older.length > 12) older.shift()
          for (const { all, said } of older) same(snapshot(all), said, "an older value")
        } catch (cause) {
          throw new Error(`seed ${seed}, step ${now}: ${String(cause)}`, { cause })
        }
      }
    }
  })
})

/** How often runs are looked at, or copied, by `work`, with `length` of them on their way, each sent at a time of its own. */
const looks = (length: number, work: (all: Transmissions.Transmissions) => unknown): number => {
  let all = Transmissions.empty(0)
  for (let index = 0; index < length; index++) {
    all = Transmissions.sent(all, index * 10, (index + 1) * 10, index, markOf(initial))
  }
  let looked = 0
  const queue = new Proxy(all.queue, {
    get: (runs, key, self) => {
      if (typeof key === "string" && key !== "length") looked++
      return Reflect.get(runs, key, self) as unknown
    }
  })
  work({ ...all, queue })
  return looked
}

const silence = (all: Transmissions.Transmissions) => News.none(all, 0, 20_000, 0, undefined)

describe("ten thousand runs on their way cost", () => {
  it("an acknowledgement what it covers", () => {
    assert.isAtMost(looks(10_000, (all) => Transmissions.acknowledge(all, 20, silence(all))), 3)
  })

  it("a selective acknowledgement what lies before and in it", () => {
    assert.isAtMost(looks(10_000, (all) => Transmissions.select(all, 20, 50, silence(all))), 6)
  })

  it("a loss the runs up to it, and not their square", () => {
    assert.isAtMost(looks(10_000, (all) => Transmissions.loseIf(all, ({ sentAt }) => sentAt < 1000)), 2500)
  })

  it("the search for what was overtaken the logarithm of it", () => {
    assert.isAtMost(looks(10_000, (all) => Transmissions.overtaken(all, 5000, 0)), 20)
  })
})
