/**
 * A UDP program on the kernel's side. It takes one JSON argument (`Plan`), tells
 * on standard error what it does, and prints one JSON line (`Report`) at its end.
 */
import { createHash, randomBytes } from "node:crypto"
import { createSocket } from "node:dgram"

export interface Plan {
  /** Sends back what arrives, for ever. */
  readonly echo?: number
  /** Sends datagrams of these lengths one after another, each when the answer to the one before came. */
  readonly send?: { readonly host: string; readonly port: number; readonly lengths: ReadonlyArray<number> }
}

export interface Report {
  /** Datagrams that came back as they were sent. */
  readonly equal: number
  /** Such as `ECONNREFUSED`, and after how many milliseconds. */
  readonly error?: string
}

const plan: Plan = JSON.parse(process.argv[2]!)
const socket = createSocket("udp4")
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

if (plan.echo !== undefined) {
  socket.on("message", (message, { address, port }) => socket.send(message, port, address))
  socket.bind(plan.echo, () => process.stderr.write("listening\n"))
} else {
  const { host, lengths, port } = plan.send!
  let equal = 0
  let next = 0
  let expected = ""
  const finish = (error?: string): void => {
    const report: Report = { equal, ...(error === undefined ? {} : { error }) }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    socket.close()
  }
  const send = (): void => {
    if (next === lengths.length) return finish()
    const payload = randomBytes(lengths[next++]!)
    expected = digest(payload)
    socket.send(payload)
  }
  socket.on("message", (message) => {
    if (digest(message) === expected) equal++
    send()
  })
  socket.on("error", (reason: NodeJS.ErrnoException) => finish(reason.code))
  socket.connect(port, host, send)
}
