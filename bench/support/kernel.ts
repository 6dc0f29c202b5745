/**
 * Bulk transfers through the kernel's sockets: `serve <octets>`, `send <host> <octets>`, `receive <host> <octets>`. A
 * client prints one JSON line (`Measured`).
 */
import { connect, createServer, type Socket } from "node:net"
import { BLOCK, block, SINK, SOURCE, Verdict, Verifier } from "./block.ts"

export interface Measured {
  readonly octets: number
  readonly seconds: number
  readonly equal: boolean
}

const source = (socket: Socket, octets: number, done: () => void): void => {
  let left = octets
  const fill = (): void => {
    while (left > 0) {
      const length = Math.min(left, BLOCK)
      left -= length
      if (!socket.write(length === BLOCK ? block : block.subarray(0, length))) {
        socket.once("drain", fill)
        return
      }
    }
    done()
  }
  fill()
}

const serve = (octets: number): void => {
  createServer((socket) => {
    const verifier = new Verifier()
    socket.on("data", (chunk) => verifier.accept(chunk))
    socket.on("end", () => socket.end(Uint8Array.of(verifier.equal ? Verdict.equal : Verdict.different)))
  }).listen(SINK)
  createServer((socket) => source(socket, octets, () => socket.end())).listen(
    SOURCE,
    () => process.stderr.write("ready\n")
  )
}

const report = (measured: Measured): void => void process.stdout.write(`${JSON.stringify(measured)}\n`)

const send = (host: string, octets: number): void => {
  const socket = connect({ host, port: SINK, allowHalfOpen: true }, () => {
    const started = performance.now()
    socket.once("data", ([verdict]) => {
      report({ octets, seconds: (performance.now() - started) / 1000, equal: verdict === Verdict.equal })
      socket.destroy()
    })
    source(socket, octets, () => socket.end())
  })
}

const receive = (host: string, octets: number): void => {
  const verifier = new Verifier()
  let started = 0
  const buffer = new Uint8Array(256 * 1024)
  const socket = connect({
    host,
    port: SOURCE,
    onread: {
      buffer,
      callback: (length) => {
        verifier.accept(buffer.subarray(0, length))
        return true
      }
    }
  }, () => {
    started = performance.now()
  })
  socket.on("end", () =>
    report({
      octets: verifier.octets,
      seconds: (performance.now() - started) / 1000,
      equal: verifier.equal && verifier.octets === octets
    }))
}

const [role, host, octets] = process.argv.slice(2)
if (role === "serve") serve(Number(host))
else if (role === "send") send(host!, Number(octets))
else receive(host!, Number(octets))
