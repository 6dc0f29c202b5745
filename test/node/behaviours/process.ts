/**
 * What keeps a process alive. Each case is a process of its own, which says whether it ended by itself.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type Group, row } from "./row.ts"
import type { World } from "./world.ts"

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url))

const verdict = (place: string, name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, place, name], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    child.stdout.on("data", (chunk) => {
      text += String(chunk)
    })
    child.on("error", reject)
    child.on("close", () => resolve(text.trim()))
  })

const each = (names: ReadonlyArray<string>) => async ({ client, place }: World): Promise<void> => {
  const verdicts = await Promise.all(names.map((name) => verdict(place, name)))
  for (const [index, name] of names.entries()) client.log(`${name}:`, verdicts[index])
}

export const processes: Group = {
  title: "The life of the process",
  rows: [
    row("servers", each(["a server", "a server, unref", "a server, closed"])),
    row("connections", each(["a connection", "a connection, unref"])),
    row("datagram sockets", each(["a datagram socket", "a datagram socket, unref"]))
  ]
}
