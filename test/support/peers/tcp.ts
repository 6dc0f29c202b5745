/**
 * A TCP program on the kernel's side. It takes one JSON argument (`Plan`), tells
 * on standard error what it does, and for each connection that ends prints one
 * JSON line (`Report`) on standard output.
 */
import { createHash, randomBytes } from "node:crypto"
import { connect, createServer, type Socket } from "node:net"

export interface Plan {
  readonly listen?: number
  readonly connect?: { readonly host: string; readonly port: number }
  /** Connections opened at once; 1 by default. */
  readonly connections?: number
  /** Octets of random data to send; 0 by default. */
  readonly send?: number
  /** Sends back what arrives instead. */
  readonly echo?: boolean
  /** When to send a FIN: after what it sends by default, after the peer's, or never. */
  readonly end?: "afterSending" | "afterReceiving" | "never"
  /** Milliseconds before the first octet is read. */
  readonly pause?: number
  /** Sends a reset once that many octets arrived. */
  readonly resetAfter?: number
}

export interface Report {
  readonly sent: number
  readonly sentHash: string
  readonly received: number
  readonly receivedHash: string
  /** Whether the peer's FIN came. */
  readonly ended: boolean
  /** Such as `ECONNREFUSED`, or undefined. */
  readonly error?: string
}

const plan: Plan = JSON.parse(process.argv[2]!)
const CHUNK = 256 * 1024

const tell = (text: string): void => void process.stderr.write(`${text}\n`)

const handle = (socket: Socket): void => {
  const sentHash = createHash("sha256")
  const receivedHash = createHash("sha256")
  let sent = 0
  let received = 0
  let ended = false
  let error: string | undefined

  const send = (): void => {
    const total = plan.send ?? 0
    while (sent < total) {
      const chunk = randomBytes(Math.min(CHUNK, total - sent))
      sentHash.update(chunk)
      sent += chunk.length
      if (!socket.write(chunk)) {
        socket.once("drain", send)
        return
      }
    }
    if ((plan.end ?? "afterSending") === "afterSending" && plan.echo !== true) socket.end()
  }
  const read = (): void => {
    socket.on("data", (chunk) => {
      received += chunk.length
      receivedHash.update(chunk)
      if (received === plan.send) tell("as much came back")
      if (plan.echo === true) {
        sentHash.update(chunk)
        sent += chunk.length
        if (!socket.write(chunk)) {
          socket.pause()
          socket.once("drain", () => socket.resume())
        }
      }
      if (plan.resetAfter !== undefined && received >= plan.resetAfter) socket.resetAndDestroy()
    })
  }
  socket.on("end", () => {
    ended = true
    tell("ended")
    if (plan.end === "afterReceiving" || plan.echo === true) socket.end()
  })
  socket.on("error", (reason: NodeJS.ErrnoException) => {
    error = reason.code ?? reason.message
  })
  socket.on("close", () => {
    const report: Report = {
      sent,
      sentHash: sentHash.digest("hex"),
      received,
      receivedHash: receivedHash.digest("hex"),
      ended,
      ...(error === undefined ? {} : { error })
    }
    process.stdout.write(`${JSON.stringify(report)}\n`)
  })
  if (plan.pause === undefined) read()
  else setTimeout(read, plan.pause)
  send()
}

if (plan.listen !== undefined) {
  createServer({ allowHalfOpen: true }, (socket) => {
    tell("accepted")
    handle(socket)
  }).listen(plan.listen, "0.0.0.0", 511, () => tell("listening"))
} else {
  for (let index = 0; index < (plan.connections ?? 1); index++) {
    const socket = connect({ ...plan.connect!, allowHalfOpen: true }, () => tell("connected"))
    handle(socket)
  }
}
