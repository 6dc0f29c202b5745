/**
 * One question to one server, over UDP or TCP, up to the first message that answers it.
 *
 * An answer is taken only from the address and port that were asked, with the random number of the question, and with the
 * question itself (RFC 5452 §9.1); a question leaves from a random port of its own. Whatever else arrives is counted
 * under `dns.ignored` and does no harm: the wait goes on.
 */
import { Entropy, Statistics, Tcp, Udp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import * as Effect from "effect/Effect"
import type { InetAddressV4 } from "effect/net/NetAddress"
import { badAnswer, fromTcp, fromUdp, type QueryFailure } from "./Failure.ts"
import * as Message from "./Message.ts"

export interface Question {
  /** As `Message.questionOf` makes it. */
  readonly section: Uint8Array
  /** Whether an answer must have it in the same case. */
  readonly exact: boolean
  /** Octets of the datagrams that can be received, when EDNS is to be spoken. */
  readonly ednsSize: number | undefined
}

export interface Exchange {
  /** Both wait for as long as there is no answer. */
  readonly overUdp: (server: InetAddressV4, question: Question) => Effect.Effect<Message.Message, QueryFailure>
  readonly overTcp: (server: InetAddressV4, question: Question) => Effect.Effect<Message.Message, QueryFailure>
}

export const make = Effect.gen(function*() {
  const udp = yield* Udp
  const tcp = yield* Tcp
  const entropy = yield* Entropy
  const { counter } = yield* Statistics
  const asked = { udp: counter("dns.sent"), tcp: counter("dns.sentTcp") }
  const received = counter("dns.received")
  const ignored = {
    source: counter("dns.ignored.source"),
    malformed: counter("dns.ignored.malformed"),
    notResponse: counter("dns.ignored.notResponse"),
    id: counter("dns.ignored.id"),
    question: counter("dns.ignored.question")
  }

  /** The message, if it answers the question; otherwise it is counted. */
  const accept = (message: Message.Message | undefined, id: number, question: Question) => {
    const why = message === undefined ? "malformed" : objection(message, id, question)
    if (why === undefined) received.value++
    else ignored[why].value++
    return why === undefined ? message : undefined
  }

  const overUdp = Effect.fnUntraced(function*(server: InetAddressV4, question: Question) {
    // A free random port, and what others send there; the second one hears the server only, and what ICMP says about it.
    const { port: number } = yield* udp.bindWith({ shared: true }, () => {
      ignored.source.value++
      return true
    })
    const port = yield* udp.bind({ port: number, remote: server, shared: true })
    const id = entropy.below(0x1_0000)
    asked.udp.value++
    yield* port.send(Message.write(id, question.section, question.ednsSize))
    while (true) {
      for (const { payload } of yield* port.take) {
        const answer = accept(Message.read(payload), id, question)
        if (answer !== undefined) return answer
      }
    }
  }, Effect.scoped)

  const overTcp = Effect.fnUntraced(function*(server: InetAddressV4, question: Question) {
    const connection = yield* Effect.mapError(tcp.connect({ remote: server }), fromTcp)
    const id = entropy.below(0x1_0000)
    asked.tcp.value++
    yield* Effect.mapError(connection.write(framed(Message.write(id, question.section, question.ednsSize))), fromTcp)
    const next = messagesOf(connection)
    while (true) {
      const message = Message.read(yield* next)
      const answer = accept(message, id, question)
      if (answer !== undefined) return answer
      // No stranger can have sent it.
      if (message === undefined) return yield* badAnswer("it is malformed")
    }
  }, Effect.scoped)

  const exchange: Exchange = {
    overUdp: (server, question) => Effect.mapError(overUdp(server, question), fromUdp),
    overTcp
  }
  return exchange
})

/** Why a message is no answer to a question. */
const objection = (
  message: Message.Message,
  id: number,
  { exact, section }: Question
): "notResponse" | "id" | "question" | undefined => {
  if (!message.response || message.opcode !== 0) return "notResponse"
  if (message.id !== id) return "id"
  // Servers that do not understand a question may leave it out.
  if (message.questions === 0 && message.rcode === Message.Rcode.formatError) return undefined
  return Message.sameQuestion(message.question, section, exact) ? undefined : "question"
}

/** RFC 7766 §8: behind its length in two octets, and both at once. */
const framed = (message: Uint8Array): Uint8Array =>
  Uint8Array.of(message.length >>> 8, message.length & 0xff, ...message)

/** Reads one message after the other. */
const messagesOf = (connection: Connection): Effect.Effect<Uint8Array, QueryFailure> => {
  let buffered = new Uint8Array(0)
  return Effect.gen(function*() {
    while (true) {
      const length = buffered.length < 2 ? 0xffff : (buffered[0]! << 8) | buffered[1]!
      if (buffered.length >= 2 + length) {
        const message = buffered.slice(2, 2 + length)
        buffered = buffered.slice(2 + length)
        return message
      }
      const chunks = yield* connection.read.pipe(
        Effect.catchTag("TcpError", (error) => Effect.fail(fromTcp(error))),
        Effect.catch((end) => Effect.fail(end._tag === "QueryFailure" ? end : badAnswer("it ends too early")))
      )
      buffered = concatenate([buffered, ...chunks])
    }
  })
}

const concatenate = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}
