/**
 * The Linux kernel of the namespace this process is in: its ping, its TCP and
 * its UDP.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { ExchangeFailed, type Peer } from "./Peer.ts"
import * as Programs from "./Programs.ts"

const PING_INTERVAL = "0.2"

const pingArguments = (address: string, count: number) => ["-c", String(count), "-i", PING_INTERVAL, address]

const tcp = (address: string, port: number, bytes: Uint8Array) =>
  Effect.callback<Uint8Array, ExchangeFailed>((resume) => {
    const received: Array<Buffer> = []
    const socket = connect({ host: address, port })
    socket.on("data", (chunk) => received.push(chunk))
    socket.on("error", (error) => resume(Effect.fail(new ExchangeFailed({ what: "tcp", detail: error.message }))))
    socket.on("end", () => resume(Effect.succeed(Buffer.concat(received))))
    socket.end(bytes)
    return Effect.sync(() => socket.destroy())
  })

const udp = (address: string, port: number, payload: Uint8Array) =>
  Effect.acquireUseRelease(
    Effect.sync(() => createSocket("udp4")),
    (socket) =>
      Effect.callback<Uint8Array, ExchangeFailed>((resume) => {
        socket.on("error", (error) => resume(Effect.fail(new ExchangeFailed({ what: "udp", detail: error.message }))))
        socket.on("message", (message) => resume(Effect.succeed(message)))
        socket.connect(port, address, () => socket.send(payload))
      }),
    (socket) => Effect.sync(() => socket.close())
  )

export const make = (address: string, port: number): Effect.Effect<Peer, never, ChildProcessSpawner> =>
  Effect.map(Effect.context<ChildProcessSpawner>(), (context) => ({
    name: "The kernel",
    command: (count) => ["ping", ...pingArguments(address, count)].join(" "),
    ping: Effect.fnUntraced(
      function*(count, print) {
        const lines: Array<string> = []
        yield* Programs.run("ping", pingArguments(address, count), (line) => {
          lines.push(line)
          return print(line)
        })
        const said = lines.join("\n")
        const [, transmitted, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? []
        const [, average] = /= [\d.]+\/([\d.]+)\//.exec(said) ?? []
        return { transmitted: Number(transmitted), received: Number(received), average: Number(average) }
      },
      Effect.catchTag(
        "ProgramFailed",
        (error) => Effect.fail(new ExchangeFailed({ what: "ping", detail: error.message }))
      ),
      Effect.provideContext(context)
    ),
    tcp: (bytes) => tcp(address, port, bytes),
    udp: (payload) => udp(address, port, payload)
  }))
