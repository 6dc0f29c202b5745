/**
 * Answers that are kept for as long as they hold, on Effect's `Cache`: whoever asks what is being asked already waits with the
 * others, and the question is given up when nobody waits any more.
 */
import { Statistics } from "@strata/core"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RecordType } from "effect/net/Dns"
import type { Outcome } from "./Answer.ts"
import type { QueryFailure } from "./Failure.ts"
import type { Name } from "./Name.ts"
import type { Query } from "./Query.ts"
import type { Settings } from "./Settings.ts"

/** `query`, asked only for what is not known. Names are in lower case. */
export const make = Effect.fnUntraced(function*(
  query: Query,
  { cache: bounds }: Settings
): Effect.fn.Return<Query, never, Statistics> {
  const { counter } = yield* Statistics
  const questions = counter("dns.questions")
  const queries = counter("dns.queries")

  const lifetime = (exit: Exit.Exit<Outcome, QueryFailure>): number => {
    if (!Exit.isSuccess(exit)) return remembers(exit) ? bounds.failureTtl : 0
    const { _tag: tag, ttl } = exit.value
    // RFC 2308 §5: what comes without an SOA record is not kept.
    if (tag !== "Found") return Math.min(ttl * 1000, bounds.maxNegativeTtl)
    return Math.min(Math.max(ttl * 1000, bounds.minTtl), bounds.maxTtl)
  }

  // RFC 2308 §5: a name that does not exist has no records of any type. `get` finds what was `set`, and else nothing.
  const missing = yield* Cache.makeWith((_name: Name) => Effect.succeed(0), {
    capacity: bounds.capacity,
    timeToLive: (exit) => Exit.isSuccess(exit) ? exit.value : 0
  })

  const answers = yield* Cache.makeWith((key: string) => {
    queries.value++
    const [type, name] = partsOf(key)
    return Effect.tap(query(name, type), (outcome) =>
      outcome._tag === "NoName"
        ? Cache.set(missing, outcome.name, Math.min(outcome.ttl * 1000, bounds.maxNegativeTtl))
        : Effect.void)
  }, { capacity: bounds.capacity, timeToLive: lifetime })

  const cached: Query = Effect.fnUntraced(function*(name, type) {
    questions.value++
    const known = yield* Cache.get(missing, name)
    return known > 0 ? { _tag: "NoName", name, ttl: 0 } : yield* Cache.get(answers, keyOf(name, type))
  })
  return cached
})

const keyOf = (name: Name, type: RecordType): string => `${type} ${name}`

const partsOf = (key: string): [RecordType, Name] => {
  const space = key.indexOf(" ")
  return [key.slice(0, space) as RecordType, key.slice(space + 1)]
}

const remembers = (exit: Exit.Failure<Outcome, QueryFailure>): boolean =>
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error.remembered)
