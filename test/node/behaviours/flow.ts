/**
 * How octets flow: pausing, backpressure, encodings, and all the ways to read.
 */
import { createHash } from "node:crypto"
import { PassThrough } from "node:stream"
import { pipeline } from "node:stream/promises"
import { type Group, row } from "./row.ts"
import { closed, dial, pair, read, serve, told, watch } from "./streams.ts"
import { once, sleep, uncaught } from "./world.ts"

const MANY = 4_000_000

const patterned = (length: number): Buffer => {
  const octets = Buffer.alloc(length)
  for (let index = 0; index < length; index++) octets[index] = (index * 31 + (index >>> 8)) & 0xff
  return octets
}

const digest = (octets: Buffer): string => createHash("sha256").update(octets).digest("hex").slice(0, 16)

export const flow: Group = {
  title: "Flow",
  rows: [
    row("`pause` and `resume`", async (world) => {
      const { client, server } = await pair(world)
      client.pause()
      world.client.log(client.isPaused())
      server.write("held back")
      await sleep(50)
      world.client.log("resumes")
      client.resume()
      await read(client, 9)
      world.client.log(client.isPaused())
    }),
    row("`pauseOnConnect`: the server reads when it likes", async (world) => {
      const { client, server } = await pair(world, { server: { pauseOnConnect: true } })
      world.server.log(server.isPaused())
      client.write("early")
      await sleep(50)
      world.server.log("resumes", server.bytesRead)
      server.resume()
      await read(server, 5)
    }),
    row("backpressure: `write` says false, then `drain`", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      world.client.log(client.write("small"), client.writableNeedDrain)
      world.client.log(client.write(Buffer.alloc(MANY)), client.writableNeedDrain)
      client.on("drain", () => world.client.log("drain", client.writableLength, client.writableNeedDrain))
      server.resume()
      await once(client, "drain")
    }),
    row("a peer that does not read stops the writer", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      let written = false
      client.write(Buffer.alloc(16_000_000), () => {
        written = true
      })
      await sleep(150)
      world.client.log(written)
      server.resume()
      await once(client, "drain")
      world.client.log(written)
    }),
    row("4,000,000 octets to the server arrive as they were", async (world) => {
      const octets = patterned(MANY)
      const { client, server } = await pair(world, { serverReads: false })
      const chunks: Array<Buffer> = []
      server.on("data", (chunk) => chunks.push(chunk as Buffer))
      client.end(octets)
      await closed(client, server)
      world.server.log(Buffer.concat(chunks).length, digest(Buffer.concat(chunks)) === digest(octets))
      world.client.log(client.bytesWritten, server.bytesRead)
    }),
    row("4,000,000 octets to the client, in 1,000 writes", async (world) => {
      const octets = patterned(MANY)
      const { client, server } = await pair(world, { clientReads: false })
      const chunks: Array<Buffer> = []
      client.on("data", (chunk) => chunks.push(chunk as Buffer))
      for (let at = 0; at < MANY; at += 4000) server.write(octets.subarray(at, at + 4000))
      server.end()
      await closed(client, server)
      world.client.log(digest(Buffer.concat(chunks)) === digest(octets))
    }),
    row("a chunk may be changed when its write is done", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      const chunk = Buffer.alloc(65_536, "a")
      const done = new Promise<void>((resolve) => client.write(chunk, () => resolve()))
      await done
      chunk.fill("b")
      let others = 0
      server.on("data", (text) => {
        for (const octet of text as Buffer) if (octet !== 97) others++
      })
      client.end()
      await closed(server)
      world.server.log("changed octets:", others)
    }),
    row("callbacks of writes come in order", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      server.resume()
      for (const name of ["a", "b", "c"]) client.write(name, told(world.client, name))
      client.write(Buffer.alloc(100_000), told(world.client, "large"))
      client.write("last", told(world.client, "last"))
      client.end(told(world.client, "end"))
      await closed(client, server)
    }),
    row("`cork` and `uncork`", async (world) => {
      const { client, server } = await pair(world)
      client.cork()
      client.write("one ")
      client.write("two ")
      client.write("three")
      world.client.log(client.writableCorked, client.writableLength)
      await sleep(20)
      world.server.log("nothing yet", server.bytesRead)
      client.uncork()
      await read(server, 13)
    }),
    row("encodings: `setEncoding` keeps characters whole", async (world) => {
      const { client, server } = await pair(world)
      client.setEncoding("utf8")
      client.on("data", (chunk) => world.client.log(typeof chunk))
      const euro = Buffer.from("€")
      server.write(euro.subarray(0, 1))
      await sleep(20)
      server.end(euro.subarray(1))
      await closed(client, server)
    }),
    row("encodings of writes: hex, base64, latin1, utf16le", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      const chunks: Array<Buffer> = []
      server.on("data", (chunk) => chunks.push(chunk as Buffer))
      client.write("48c3", "hex")
      client.write("QUJD", "base64")
      client.write("ä", "latin1")
      client.write("ab", "utf16le")
      client.setDefaultEncoding("hex")
      client.end("0a0b")
      await closed(client, server)
      world.server.log(Buffer.concat(chunks).toString("hex"))
    }),
    row("typed arrays and views are written as their octets", async (world) => {
      const { client, server } = await pair(world)
      client.write(new Uint8Array([65, 66]))
      client.write(new Uint8Array(new Uint8Array([67, 68, 69, 70]).buffer, 1, 2))
      client.end()
      await closed(client, server)
    }),
    row("`readable` and `read(n)`", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.end("0123456789")
      await once(client, "readable")
      await sleep(20)
      world.client.log(client.read(4)?.toString(), client.read(20), client.readableLength)
      world.client.log(client.read()?.toString())
      client.on("readable", () => client.read())
      await closed(client, server)
    }),
    row("`for await`", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.write("some ")
      server.end("text")
      let text = ""
      for await (const chunk of client) text += chunk
      world.client.log("all:", text)
      await closed(client, server)
    }),
    row("`for await` that stops early destroys", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.write("some text")
      for await (const chunk of client) {
        world.client.log(String(chunk))
        break
      }
      await closed(client, server)
    }),
    row("`for await` and a reset", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      setTimeout(() => server.resetAndDestroy(), 20)
      try {
        for await (const chunk of client) world.client.log(String(chunk))
      } catch (error) {
        world.client.log("caught", (error as NodeJS.ErrnoException).code)
      }
      await closed(client, server)
    }),
    row("`pipe`: an echo server", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      server.pipe(server)
      client.write("echo ")
      client.end("this")
      await closed(client, server)
    }),
    row("`pipeline`: to the end", async (world) => {
      const { client, server } = await pair(world, { clientReads: false, serverReads: false })
      const upload = new PassThrough()
      const done = pipeline(upload, client)
      server.on("data", (chunk) => world.server.log("data", String(chunk)))
      upload.end("through the pipe")
      await done
      world.client.log("done", client.writableFinished)
      client.resume()
      await closed(client, server)
    }),
    row("`pipeline` and a reset", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      const sink = new PassThrough()
      const done = pipeline(client, sink).catch((error: NodeJS.ErrnoException) =>
        world.client.log("rejects", error.code)
      )
      server.resetAndDestroy()
      await done
      world.client.log(sink.destroyed)
      await closed(client, server)
    }),
    row("`onread`: one buffer, again and again", async (world) => {
      const { client: side } = world
      const { port } = await serve(world, (socket) => {
        socket.write("0123456789abcdef")
        setTimeout(() => socket.end("the end"), 30)
      })
      const buffer = Buffer.alloc(8)
      let text = ""
      const socket = dial(world, port, {
        onread: {
          buffer,
          callback: (count, into) => {
            text += Buffer.from(into.buffer, into.byteOffset, count).toString()
            if (into.byteOffset !== buffer.byteOffset) side.log("another buffer")
            return true
          }
        }
      })
      await closed(socket)
      side.log(text, socket.bytesRead)
    }),
    row("`onread` that says false pauses", async (world) => {
      const { client: side } = world
      const { port } = await serve(world, (socket) => socket.end("0123456789abcdef"))
      let calls = 0
      const socket = dial(world, port, {
        onread: { buffer: Buffer.alloc(8), callback: () => ++calls > 1 }
      })
      await once(socket, "connect")
      await sleep(50)
      side.log(calls, socket.isPaused())
      socket.resume()
      await closed(socket)
      side.log(calls)
    }),
    row("`onread` with a function that gives buffers", async (world) => {
      const { client: side } = world
      const { port } = await serve(world, (socket) => socket.end("0123456789"))
      let buffers = 0
      let text = ""
      const socket = dial(world, port, {
        onread: {
          buffer: () => {
            buffers++
            return Buffer.alloc(16)
          },
          callback: (count, into) => {
            text += Buffer.from(into.buffer, into.byteOffset, count).toString()
            return true
          }
        }
      })
      await closed(socket)
      side.log(text, buffers >= 1)
    }),
    row("a listener that throws does not end the connection", async (world) => {
      const { client: side } = world
      const { client, server } = await pair(world)
      const caught = uncaught()
      client.once("data", () => {
        throw new Error("from a listener")
      })
      server.write("one")
      side.log("uncaught", (await caught).message)
      server.end("two")
      await closed(client, server)
    }),
    row("promises settle between events", async (world) => {
      const { client, server } = await pair(world)
      client.on("end", () => void Promise.resolve().then(() => world.client.log("a promise after end")))
      client.on("finish", () => void Promise.resolve().then(() => world.client.log("a promise after finish")))
      server.end("x")
      await closed(client, server)
      await sleep(5)
    }),
    row("two connections do not mix", async (world) => {
      const { client: side, server: other } = world
      const { port } = await serve(world, (socket) => {
        watch(other, socket, { reads: false })
        socket.pipe(socket)
      })
      const sockets = ["a", "b"].map((name) => dial(world, port, {}, { prefix: `${name} `, reads: false }))
      const texts = sockets.map(() => "")
      for (const [index, socket] of sockets.entries()) {
        socket.on("data", (chunk) => {
          texts[index] += String(chunk)
        })
      }
      await Promise.all(sockets.map((socket) => once(socket, "connect")))
      sockets[0]!.write("first")
      sockets[1]!.write("second")
      await Promise.all([read(sockets[0]!, 5), read(sockets[1]!, 6)])
      side.log(...texts)
    })
  ]
}
