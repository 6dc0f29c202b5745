/**
 * What the two sides of the demo say to each other, told as it happens.
 */
import { Statistics } from "@strata/core/Statistics"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Output from "../Output.ts"
import { ExchangeFailed, type Peer } from "./Peer.ts"

const PINGS = 3
const LINES = ["Hello, strata!\n", "Every layer is a Layer.\n", "Goodbye.\n"]
const STEP_LIMIT = "15 seconds"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const heading = (text: string) => Output.line(`\n== ${text}`)

const inTime = <A, E, R>(what: string, step: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(step, {
    duration: STEP_LIMIT,
    orElse: () => Effect.fail(new ExchangeFailed({ what, detail: "no answer in time" }))
  })

const same = (what: string, sent: string, received: Uint8Array) =>
  decoder.decode(received) === sent
    ? Effect.void
    : Effect.fail(new ExchangeFailed({ what, detail: `${sent.length} bytes went and others came back` }))

const ping = Effect.fnUntraced(function*(peer: Peer) {
  yield* heading(peer.command(PINGS))
  const { average, received, transmitted } = yield* peer.ping(PINGS, Output.line)
  if (received < transmitted) {
    return yield* new ExchangeFailed({ what: "ping", detail: `${received} of ${transmitted} requests were answered` })
  }
  return `${received} of ${transmitted} requests answered, ${average.toFixed(3)} ms on average`
})

const tcp = Effect.fnUntraced(function*(peer: Peer) {
  yield* heading(`${peer.name} connects to TCP port 7, sends ${LINES.length} lines and closes its half`)
  const text = LINES.join("")
  const answer = yield* peer.tcp(encoder.encode(text))
  yield* Output.line(decoder.decode(answer).trimEnd())
  yield* same("tcp", text, answer)
  return `${text.length} bytes there and back on one connection, closed by both sides`
})

const udp = Effect.fnUntraced(function*(peer: Peer) {
  yield* heading(`${peer.name} sends ${LINES.length} datagrams to UDP port 7`)
  for (const text of LINES) {
    const answer = yield* peer.udp(encoder.encode(text))
    yield* Output.line(decoder.decode(answer).trimEnd())
    yield* same("udp", text, answer)
  }
  return `${LINES.length} datagrams there and back`
})

const count = (counters: Readonly<Record<string, number>>, name: string): number => counters[name] ?? 0

/** The counters of a device, in words. */
const frames = (counters: Readonly<Record<string, number>>, device: string): string => {
  const of = (name: string) => count(counters, `device.${device}.${name}`)
  return `${of("receivedPackets")} in (${of("receivedOctets")} bytes), ` +
    `${of("transmittedPackets")} out (${of("transmittedOctets")} bytes)`
}

const drops = (counters: Readonly<Record<string, number>>): string =>
  Object.entries(counters)
    .filter(([name]) => name.includes(".dropped."))
    .map(([name, value]) => `${name.replace(".dropped.", " ")} ${value}`)
    .join(", ") || "none"

/** Runs the exchange and prints the summary; `device` is the host's. */
export const exchange = Effect.fnUntraced(function*(peer: Peer, device: string) {
  const statistics = yield* Statistics
  const started = yield* Clock.currentTimeMillis
  const results = {
    ping: yield* inTime("ping", ping(peer)),
    tcp: yield* inTime("tcp", tcp(peer)),
    udp: yield* inTime("udp", udp(peer))
  }
  const counters = yield* statistics.snapshot
  const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
  yield* heading(`Summary, after ${seconds.toFixed(1)} s`)
  yield* Output.line(
    [
      `  ping    ${results.ping}`,
      `  tcp     ${results.tcp}`,
      `  udp     ${results.udp}`,
      `  frames  ${frames(counters, device)}`,
      `  drops   ${drops(counters)}`
    ].join("\n")
  )
})
