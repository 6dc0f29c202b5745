/**
 * One question to several servers: in turn, with more patience in each round (RFC 1035 §4.2.1), until one answers.
 *
 * A server that answers with an error is not asked again for the same question. One that does not understand EDNS is
 * asked without it (RFC 6891 §7), from then on. What does not fit into a datagram is asked for over TCP (RFC 7766 §5).
 */
import { Entropy, Statistics, type Tcp, type Udp } from "@strata/core"
import * as Effect from "effect/Effect"
import type { RecordType } from "effect/net/Dns"
import type { InetAddressV4 } from "effect/net/NetAddress"
import * as Answer from "./Answer.ts"
import * as Exchange from "./Exchange.ts"
import { badAnswer, badName, fromCode, type QueryFailure, timedOut } from "./Failure.ts"
import { type Message, questionOf, Rcode } from "./Message.ts"
import * as Name from "./Name.ts"
import { RecordTypes } from "./RecordData.ts"
import type { Settings } from "./Settings.ts"

interface Server {
  readonly address: InetAddressV4
  /** Whether it has not yet refused to speak EDNS. */
  edns: boolean
}

/** A question on its way from server to server. */
interface Errand {
  readonly name: Name.Name
  readonly octets: Uint8Array
  readonly type: RecordType
  /** Whether its answer is known not to fit into a datagram. */
  large: boolean
}

/** The records of an absolute name, or that there are none. */
export type Query = (name: Name.Name, type: RecordType) => Effect.Effect<Answer.Outcome, QueryFailure>

export const make = Effect.fnUntraced(function*(
  settings: Settings
): Effect.fn.Return<Query, never, Entropy | Statistics | Tcp | Udp> {
  const { overTcp, overUdp } = yield* Exchange.make
  const entropy = yield* Entropy
  const { counter } = yield* Statistics
  const timeouts = counter("dns.timeouts")
  const truncated = counter("dns.truncated")
  const withoutEdns = counter("dns.withoutEdns")
  const servers = settings.nameServers.map((address): Server => ({ address, edns: settings.ednsSize !== undefined }))
  let first = 0

  /** All servers, beginning with another one each time if so desired. */
  const inOrder = (): ReadonlyArray<Server> => {
    const start = first
    if (settings.rotate) first = (first + 1) % servers.length
    return [...servers.slice(start), ...servers.slice(0, start)]
  }

  const sendOnce = (server: Server, { large, octets, type }: Errand, edns: boolean, patience: number) => {
    const name = settings.mixCase ? mixCase(octets, entropy.u32) : octets
    const question: Exchange.Question = {
      section: questionOf(name, RecordTypes[type]),
      exact: settings.mixCase,
      ednsSize: edns ? settings.ednsSize : undefined
    }
    return (large ? overTcp : overUdp)(server.address, question).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => {
          timeouts.value++
          return Effect.fail(timedOut)
        }
      })
    )
  }

  const send = (
    server: Server,
    errand: Errand,
    edns: boolean,
    patience: number
  ): Effect.Effect<Message, QueryFailure> =>
    Effect.flatMap(sendOnce(server, errand, edns, patience), (message) => {
      if (!message.truncated || errand.large) return Effect.succeed(message)
      truncated.value++
      errand.large = true
      return sendOnce(server, errand, edns, patience)
    })

  /** What a server answers, without EDNS if it does not like that. */
  const ask = Effect.fnUntraced(function*(server: Server, errand: Errand, patience: number) {
    const message = yield* send(server, errand, server.edns, patience)
    if (!server.edns || !dislikesEdns(message.rcode)) return message
    withoutEdns.value++
    const plain = yield* send(server, errand, false, patience)
    // Whoever dislikes the question without EDNS as well has nothing against EDNS.
    if (!dislikesEdns(plain.rcode)) server.edns = false
    return plain
  })

  /** What a server's answer says; fails when it is no use. */
  const consult = (server: Server, errand: Errand, patience: number) =>
    Effect.flatMap(ask(server, errand, patience), (message): Effect.Effect<UsefulVerdict, QueryFailure> => {
      if (message.rcode !== Rcode.noError && message.rcode !== Rcode.nameError) return fromCode(message.rcode)
      const verdict = Answer.read(message, errand.name, errand.type)
      return verdict._tag === "Invalid" ? badAnswer(verdict.why) : Effect.succeed(verdict)
    })

  /** The first useful answer of any server, or the last failure. */
  const askAll = Effect.fnUntraced(function*(name: Name.Name, type: RecordType) {
    const octets = Name.write(name)
    if (octets === undefined) return yield* badName
    const errand: Errand = { name, octets, type, large: settings.tcp }
    let willing = inOrder()
    let failure: QueryFailure = timedOut
    for (let round = 0; round < settings.tries && willing.length > 0; round++) {
      const patience = settings.timeout * 2 ** round
      const again: Array<Server> = []
      // Who could not be reached a moment ago cannot be reached now.
      if (round > 0 && failure.reason !== "Timeout") yield* Effect.sleep(patience / 2)
      for (const server of willing) {
        const answer = yield* Effect.result(consult(server, errand, patience))
        if (answer._tag === "Success") return answer.success
        failure = answer.failure
        if (failure.again) again.push(server)
      }
      willing = again
    }
    return yield* failure
  })

  const query: Query = Effect.fnUntraced(function*(name, type) {
    let ttl = Number.POSITIVE_INFINITY
    for (let aliases = 0; aliases <= Answer.MAX_ALIASES;) {
      const verdict = yield* askAll(name, type)
      ttl = Math.min(ttl, verdict.ttl)
      if (verdict._tag !== "Alias") return { ...verdict, ttl }
      name = verdict.target
      aliases += verdict.aliases
    }
    return yield* badAnswer("its aliases lead nowhere")
  })
  return query
})

type UsefulVerdict = Exclude<Answer.Verdict, { readonly _tag: "Invalid" }>

const dislikesEdns = (rcode: number): boolean =>
  rcode === Rcode.formatError || rcode === Rcode.notImplemented || rcode === Rcode.badVersion

/** Letters in a random case: as many more bits for somebody else to guess. */
const mixCase = (name: Uint8Array, u32: () => number): Uint8Array =>
  name.map((octet) => octet >= 0x61 && octet <= 0x7a && (u32() & 1) === 1 ? octet & ~0x20 : octet)
