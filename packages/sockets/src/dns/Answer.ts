/**
 * What an answer says about a question: records, that there are none, or where to ask on.
 *
 * Aliases are followed from the question's name (RFC 1034 §3.6.2); whatever else is in the message is left aside. That a
 * name or its data does not exist is told by the code, and for how long by the SOA record beside it (RFC 2308 §2).
 */
import * as Arr from "effect/Array"
import type { DnsRecord, RecordType } from "effect/net/Dns"
import { type Message, Rcode, type Resource } from "./Message.ts"
import { fold, type Name } from "./Name.ts"
import { read as readRecord, readNegativeTtl, readTarget, RecordTypes } from "./RecordData.ts"

/** How many aliases lead from a question to its answer, at most. Loops end there, too. */
export const MAX_ALIASES = 16

/** What ends a search. Times to live are in seconds; one of 0 means that nobody may keep it. */
export type Outcome =
  | { readonly _tag: "Found"; readonly records: Arr.NonEmptyReadonlyArray<DnsRecord>; readonly ttl: number }
  /** No such name: the one that was asked for, or the one that its aliases lead to. */
  | { readonly _tag: "NoName"; readonly name: Name; readonly ttl: number }
  /** The name exists, but has no records of the type. */
  | { readonly _tag: "NoData"; readonly ttl: number }

export type Verdict =
  | Outcome
  /** The server knows no more than that this is another name's alias. */
  | { readonly _tag: "Alias"; readonly target: Name; readonly aliases: number; readonly ttl: number }
  /** It contradicts itself, goes in circles, holds nothing that can be represented, or refers to other servers. */
  | { readonly _tag: "Invalid"; readonly why: string }

const invalid = (why: string): Verdict => ({ _tag: "Invalid", why })

/** What a message with the code "no error" or "no such name" says about the records of `type` of `name`. */
export const read = (message: Message, name: Name, type: RecordType): Verdict => {
  const end = follow(message, fold(name), type)
  if (end === undefined) return invalid("its aliases lead nowhere")
  const negative = negativeTtl(message)
  if (message.rcode === Rcode.nameError) {
    return { _tag: "NoName", name: end.name, ttl: Math.min(end.ttl, negative ?? 0) }
  }
  const resources = recordsOf(message, end.name, RecordTypes[type])
  if (resources.length > 0) {
    const records = resources.flatMap((resource) => readRecord(message, resource, type) ?? [])
    return Arr.isArrayNonEmpty(records)
      ? { _tag: "Found", records, ttl: Math.min(end.ttl, ...resources.map(({ ttl }) => ttl)) }
      : invalid("none of its records can be represented")
  }
  if (negative !== undefined) return { _tag: "NoData", ttl: Math.min(end.ttl, negative) }
  if (end.aliases > 0) return { _tag: "Alias", target: end.name, aliases: end.aliases, ttl: end.ttl }
  // RFC 2308 §2.2: name servers and no SOA record make a referral, which only a server that does not recurse gives.
  return message.authorities.some((resource) => resource.type === RecordTypes.NS)
    ? invalid("it refers to other servers")
    : { _tag: "NoData", ttl: 0 }
}

const recordsOf = (message: Message, name: Name, type: number): ReadonlyArray<Resource> =>
  message.answers.filter((resource) => resource.type === type && resource.name === name)

/** Where the aliases in a message lead from `name`, unless they go on for too long. */
const follow = (message: Message, name: Name, type: RecordType) => {
  let ttl = Number.POSITIVE_INFINITY
  if (type === "CNAME") return { name, ttl, aliases: 0 }
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const [alias] = recordsOf(message, name, RecordTypes.CNAME)
    if (alias === undefined) return { name, ttl, aliases }
    const target = readTarget(message, alias)
    if (target === undefined) return undefined
    name = fold(target)
    ttl = Math.min(ttl, alias.ttl)
  }
  return undefined
}

const negativeTtl = (message: Message): number | undefined => {
  const soa = message.authorities.find((resource) => resource.type === RecordTypes.SOA)
  return soa === undefined ? undefined : readNegativeTtl(message, soa)
}
