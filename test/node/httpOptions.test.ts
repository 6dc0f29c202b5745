/**
 * What servers of HTTP may be told of their connections beside what Node knows.
 */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { between, RIGHT } from "../support/nodeHosts.ts"
import { closed, listening } from "../support/nodePrograms.ts"

const LENGTH = 1_000_000

/** How many of the octets of an answer are changed by a program that uses their memory again once they are written. */
const changed = (copyWrites: boolean | undefined) => {
  let octets = -LENGTH
  const run = between(async ({ left, right }) => {
    const body = new Uint8Array(LENGTH).fill(1)
    const server = right.node.http.createServer({ copyWrites, sendBuffer: LENGTH }, (_request, response) => {
      response.writeHead(200, { "content-length": LENGTH })
      response.write(body, () => void body.fill(0))
      response.end()
    })
    const socket = left.node.net.connect({ host: RIGHT, port: await listening(server, RIGHT), receiveBuffer: 65_536 })
    socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    const chunks: Array<Buffer> = []
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    await once(socket, "close")
    octets = Buffer.concat(chunks).subarray(-LENGTH).reduce((sum, octet) => sum + (octet === 0 ? 1 : 0), 0)
    await closed(server)
  })
  return run().then(() => octets)
}

describe("a server of http on a stack", () => {
  it("copies what is written, unless it is told not to", async () => {
    assert.deepStrictEqual([await changed(undefined), await changed(true)], [0, 0])
    assert.isAbove(await changed(false), 0)
  })
})
