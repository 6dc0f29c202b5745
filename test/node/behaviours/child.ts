/**
 * A process that opens something and waits: `node child.ts <place> <case>`. It says whether it had to be ended.
 */
import * as kernelDgram from "node:dgram"
import * as kernelNet from "node:net"
import type { Dgram, Net } from "./world.ts"

/** Milliseconds after which a process counts as one that does not end by itself. */
const LONG = 1500

interface Modules {
  readonly net: Net
  readonly dgram: Dgram
}

const [place, name] = process.argv.slice(2)
const address = "127.0.0.1"

const modules = async (): Promise<Modules> =>
  place === "node" ? { net: kernelNet, dgram: kernelDgram } : await (await import("./loopback.ts")).modules()

const connection = ({ net }: Modules, opened: (...sockets: ReadonlyArray<kernelNet.Socket>) => void): void => {
  const server = net.createServer((accepted) => {
    server.close()
    opened(accepted, client)
  })
  let client: kernelNet.Socket
  server.listen(0, address, () => {
    client = net.connect((server.address() as kernelNet.AddressInfo).port, address)
  })
}

const cases: Record<string, (modules: Modules) => void> = {
  "a server": ({ net }) => net.createServer().listen(0, address),
  "a server, unref": ({ net }) => net.createServer().listen(0, address).unref(),
  "a server, closed": ({ net }) => {
    const server = net.createServer().listen(0, address, () => server.close())
  },
  "a connection": (all) => connection(all, () => {}),
  "a connection, unref": (all) => connection(all, (...sockets) => sockets.forEach((socket) => socket.unref())),
  "a datagram socket": ({ dgram }) => dgram.createSocket("udp4").bind(0, address),
  "a datagram socket, unref": ({ dgram }) => dgram.createSocket("udp4").bind(0, address).unref()
}

const all = await modules()
let verdict = "ends"
process.on("exit", () => process.stdout.write(verdict))
setTimeout(() => {
  verdict = "stays"
  process.exit()
}, LONG).unref()
cases[name!]!(all)
