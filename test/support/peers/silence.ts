/**
 * What a program sees whose peer falls silent: one connection that has something to say, and one that is to be opened.
 *
 * As a program of its own, `node silence.ts`, it does that with Node's sockets on loopback, and silences its namespace with nft.
 */
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import * as kernel from "node:net"
import { pathToFileURL } from "node:url"

type Net = Pick<typeof kernel, "createServer" | "connect">

export interface Situation {
  readonly client: Net
  readonly server: Net
  readonly address: string
  readonly port: number
  readonly silence: () => unknown
  /** What the client's connections are opened with. */
  readonly options?: object
}

const ending = (socket: kernel.Socket): Promise<unknown> =>
  new Promise((resolve) => {
    const errors: Array<unknown> = []
    socket.on("error", (error) => errors.push({ ...error, message: error.message }))
    socket.on("close", (hadError) => resolve({ errors, hadError }))
  })

export const fallSilent = async (
  { address, client, options = {}, port, server, silence }: Situation
): Promise<ReadonlyArray<unknown>> => {
  const listener = server.createServer((socket) => socket.on("error", () => {})).listen(port, address)
  await once(listener, "listening")
  const open = client.connect({ host: address, port, ...options })
  await once(open, "connect")
  await silence()
  open.write("lost")
  return await Promise.all([ending(open), ending(client.connect({ host: address, port, ...options }))])
}

const RULES = `
table ip silence {
  chain input {
    type filter hook input priority 0
    tcp dport 5000 drop
    tcp sport 5000 drop
  }
}
`

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  const seen = await fallSilent({
    client: kernel,
    server: kernel,
    address: "127.0.0.1",
    port: 5000,
    silence: () => spawnSync("nft", ["-f", "-"], { input: RULES, stdio: ["pipe", "inherit", "inherit"] })
  })
  process.stdout.write(JSON.stringify(seen))
  process.exit()
}
