/**
 * A member of groups on the kernel's side. It takes one JSON argument (`Plan`), says `ready`, and does what the lines of its
 * standard input tell: `join <group> [source]`, `leave <group> [source]`, `send <group> <port> <text>`; each is confirmed with
 * `done`. What it hears is printed as `heard <text> from <address>`.
 */
import { createSocket } from "node:dgram"
import { createInterface } from "node:readline"

export interface Plan {
  /** The kernel's address by whose interface groups are joined, and from which datagrams leave. */
  readonly address: string
  /** Where datagrams are heard. */
  readonly port: number
}

const plan: Plan = JSON.parse(process.argv[2]!)
const listener = createSocket({ type: "udp4", reuseAddr: true })
const sender = createSocket("udp4")
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const obey = (line: string, done: () => void): void => {
  const [verb, group = "", first, ...rest] = line.split(" ")
  switch (verb) {
    case "join":
      if (first === undefined) listener.addMembership(group, plan.address)
      else listener.addSourceSpecificMembership(first, group, plan.address)
      return done()
    case "leave":
      if (first === undefined) listener.dropMembership(group, plan.address)
      else listener.dropSourceSpecificMembership(first, group, plan.address)
      return done()
    case "send":
      return sender.send(rest.join(" "), Number(first), group, done)
  }
}

listener.on("message", (message, { address }) => say(`heard ${message.toString()} from ${address}`))
listener.bind(plan.port, () =>
  sender.bind(0, plan.address, () => {
    sender.setMulticastInterface(plan.address)
    createInterface({ input: process.stdin }).on("line", (line) => obey(line, () => say(`done ${line}`)))
    say("ready")
  }))
