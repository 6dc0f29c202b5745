/**
 * Bulk transfers through the kernel's sockets: `serve <octets> <seconds>`, `send <host> <octets> <seconds>`,
 * `receive <host> <octets> <seconds>`. A receiver measures, for so many seconds at most; a client prints what was measured
 * as one line of JSON.
 */
import { connect, createServer, type Socket } from "node:net"
import { type Measured, Meter, SINK, SOURCE } from "./meter.ts"
import { beginning, chunk } from "./pattern.ts"

const source = (socket: Socket, octets: number, done: () => void): void => {
  let left = octets
  const fill = (): void => {
    while (left > 0) {
      const length = Math.min(left, chunk.length)
      left -= length
      if (!socket.write(beginning(length))) {
        socket.once("drain", fill)
        return
      }
    }
    done()
  }
  fill()
}

/** A client that has seen enough leaves without a farewell. */
const forgive = (socket: Socket): Socket => socket.on("error", () => {})

const serve = (octets: number, seconds: number): void => {
  createServer({ allowHalfOpen: true }, (socket) => {
    const meter = new Meter(seconds, (measured) => socket.end(JSON.stringify(measured)))
    forgive(socket).on("data", (received) => meter.accept(received)).on("end", () => meter.finish())
  }).listen(SINK)
  createServer((socket) => source(forgive(socket), octets, () => socket.end())).listen(
    SOURCE,
    () => process.stderr.write("ready\n")
  )
}

const print = (measured: Measured): void => void process.stdout.write(`${JSON.stringify(measured)}\n`)

const send = (host: string, octets: number): void => {
  let answer = ""
  const socket = connect({ host, port: SINK, allowHalfOpen: true }, () => source(socket, octets, () => socket.end()))
  socket.on("data", (text) => {
    answer += text
  })
  socket.on("end", () => {
    print(JSON.parse(answer))
    // What is still queued is not to go on in the background.
    socket.resetAndDestroy()
  })
}

const receive = (host: string, octets: number, seconds: number): void => {
  const meter = new Meter(seconds, (measured) => {
    print(measured)
    socket.resetAndDestroy()
  })
  const buffer = new Uint8Array(256 * 1024)
  const socket = connect({
    host,
    port: SOURCE,
    onread: {
      buffer,
      callback: (length) => {
        meter.accept(buffer.subarray(0, length))
        if (meter.octets >= octets) meter.finish()
        return true
      }
    }
  })
  socket.on("end", () => meter.finish())
}

const [role, ...rest] = process.argv.slice(2)
if (role === "serve") serve(Number(rest[0]), Number(rest[1]))
else if (role === "send") send(rest[0]!, Number(rest[1]))
else receive(rest[0]!, Number(rest[1]), Number(rest[2]))
