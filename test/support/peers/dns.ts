/**
 * Asks a name server what a test wants to know, by the resolver of Node; prints what it got, as JSON.
 */
import { NodeDns } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Dns from "effect/net/Dns"

/** What is asked: the records of a name, or the names of an address. */
export type Question = readonly [name: string, type: Dns.RecordType | "reverse"]

/** Records as people write them, in order, or why there are none: the same for each resolver. */
export const ask = ([name, type]: Question): Effect.Effect<ReadonlyArray<string>, never, Dns.Dns> =>
  Effect.gen(function*() {
    const dns = yield* Dns.Dns
    if (type === "reverse") return yield* dns.reverse(name)
    return (yield* dns.resolve(name, type)).map((record) => Dns.formatRecord(record))
  }).pipe(
    Effect.map((found) => found.toSorted()),
    Effect.catch((error) => Effect.succeed([error.message]))
  )

if (process.argv[1] === import.meta.filename) {
  const { questions, server } = JSON.parse(process.argv[2]!) as { server: string; questions: ReadonlyArray<Question> }
  const resolver = Effect.orDie(NodeDns.make({ nameServers: [server] }))
  const answers = Effect.flatMap(resolver, (dns) => Effect.provideService(Effect.forEach(questions, ask), Dns.Dns, dns))
  process.stdout.write(JSON.stringify(await Effect.runPromise(Effect.scoped(answers))))
}
