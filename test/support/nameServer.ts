/**
 * A name server for tests, written with another implementation of the wire format (`dns-packet`). What it answers is a
 * script: a function from what it is asked to the messages that it sends back.
 */
import { TcpServer, UdpSocket } from "@strata/sockets"
import * as DnsPacket from "dns-packet"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { InetAddressV4 } from "effect/net/NetAddress"
import * as Stream from "effect/Stream"

export interface Asked {
  readonly id: number
  readonly name: string
  readonly type: string
  /** The size that EDNS announces. */
  readonly edns: number | undefined
  readonly transport: "udp" | "tcp"
  readonly source: InetAddressV4
  /** The message as it came. */
  readonly bytes: Uint8Array
}

export interface Reply {
  readonly bytes: Uint8Array
  /** How long the server thinks before. */
  readonly delay?: Duration.Input
  /** Over TCP: closes the connection after that many octets of it. */
  readonly closesAfter?: number
  /** Sent from another port than the one that was asked. */
  readonly fromElsewhere?: boolean
}

/** `index` counts the questions that the server was asked before. */
export type Script = (asked: Asked, index: number) => ReadonlyArray<Reply>

const PORT = 53

export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5
} as const

export interface Content extends Partial<Omit<DnsPacket.Packet, "flags">> {
  readonly rcode?: number
  readonly truncated?: boolean
  readonly flags?: number
}

/** An answer to a question; anything about it can be made wrong. */
export const answer = (asked: Asked, content: Content = {}): Uint8Array =>
  DnsPacket.encode({
    type: "response",
    id: asked.id,
    questions: [{ name: asked.name, type: asked.type as DnsPacket.RecordType, class: "IN" }],
    // It changes what it is given.
    ...structuredClone(content),
    flags: (content.flags ?? DnsPacket.RECURSION_DESIRED | DnsPacket.RECURSION_AVAILABLE) |
      (content.rcode ?? RCODE.noError) | (content.truncated === true ? DnsPacket.TRUNCATED_RESPONSE : 0)
  })

export const reply = (asked: Asked, content?: Content): Reply => ({ bytes: answer(asked, content) })

/** One A record of the name that is asked for. */
export const a = (asked: Asked, address: string, ttl = 60): DnsPacket.Answer => ({
  name: asked.name,
  type: "A",
  ttl,
  data: address
})

const soaOf = (domain: string, ttl: number, minimum: number): DnsPacket.Answer => ({
  name: domain,
  type: "SOA",
  ttl,
  data: { mname: `ns.${domain}`, rname: `hostmaster.${domain}`, serial: 1, refresh: 2, retry: 3, expire: 4, minimum }
})

/** That there is none: in the authority section the SOA record that says for how long. */
export const soa = soaOf("example", 300, 60)

/** Answers from records, as an authority for `example.`, with truncation where a datagram is too small. */
export const zone = (records: ReadonlyArray<DnsPacket.Answer>): Script => (asked) => {
  const named = records.filter((record) => record.name.toLowerCase() === asked.name.toLowerCase())
  const answers = named.filter((record) => record.type === asked.type)
  const content: Content = named.length === 0
    ? { rcode: RCODE.nameError, authorities: [soa] }
    : { answers, authorities: answers.length === 0 ? [soa] : [] }
  const whole = reply(asked, content)
  const room = asked.transport === "tcp" ? 0xffff : asked.edns ?? 512
  return [whole.bytes.length <= room ? whole : reply(asked, { truncated: true })]
}

const read = (bytes: Uint8Array, transport: Asked["transport"], source: InetAddressV4): Asked => {
  const packet = DnsPacket.decode(Buffer.from(bytes))
  const [question] = packet.questions!
  const opt = packet.additionals!.find((record) => record.type === "OPT")
  return {
    id: packet.id!,
    name: question!.name,
    type: question!.type,
    edns: opt?.type === "OPT" ? opt.udpPayloadSize : undefined,
    transport,
    source,
    bytes
  }
}

/** Serves over UDP and TCP for as long as it runs, and notes what it is asked. */
export const serve = Effect.fnUntraced(function*(script: Script, log: Array<Asked> = []) {
  const respond = <E, R>(asked: Asked, send: (reply: Reply) => Effect.Effect<void, E, R>) => {
    const replies = script(asked, log.push(asked) - 1)
    return Effect.forEach(replies, (one) => Effect.andThen(Effect.sleep(one.delay ?? 0), send(one)), { discard: true })
  }
  const socket = yield* UdpSocket.bind({ port: PORT })
  const elsewhere = yield* UdpSocket.bind()
  const server = yield* TcpServer.listen({ port: PORT })
  yield* Effect.forkScoped(TcpServer.serve(server, (peer) => {
    let buffered: Uint8Array = new Uint8Array(0)
    return Stream.runForEach(peer.incoming, (chunk) => {
      buffered = Buffer.concat([buffered, chunk])
      const length = buffered.length < 2 ? Infinity : (buffered[0]! << 8) | buffered[1]!
      if (buffered.length < 2 + length) return Effect.void
      const asked = read(buffered.subarray(2, 2 + length), "tcp", peer.remote)
      buffered = buffered.subarray(2 + length)
      return respond(asked, ({ bytes, closesAfter }) => {
        const frame = Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length), bytes])
        if (closesAfter === undefined) return peer.write(frame)
        return Effect.andThen(peer.write(frame.subarray(0, closesAfter)), peer.closeWrite)
      })
    })
  }))
  yield* Stream.runForEach(socket.datagrams, (datagram) =>
    Effect.forkScoped(
      respond(read(datagram.payload, "udp", datagram.source), ({ bytes, fromElsewhere }) =>
        (fromElsewhere === true ? elsewhere : socket).send(bytes, datagram.source))
    ))
})
