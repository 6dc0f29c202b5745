/**
 * The lives of connections: what is emitted, and in which order.
 */
import { type Group, row } from "./row.ts"
import { closed, dial, pair, read, serve, told, unused, watch } from "./streams.ts"
import { once, sleep } from "./world.ts"

export const lives: Group = {
  title: "Lives of connections",
  rows: [
    row("connecting: `connect`, the callback, `ready`", async (world) => {
      const { client, server } = world
      const { port } = await serve(world, (socket) => server.log("connection", socket.readyState))
      const socket = watch(client, world.track(new client.net.Socket()))
      client.log(socket.readyState, socket.pending, socket.connecting)
      socket.connect({ port, host: server.address }, () => client.log("callback"))
      client.log(socket.readyState, socket.pending, socket.connecting)
      await once(socket, "ready")
      client.log(socket.readyState, socket.pending, socket.connecting)
    }),
    row("the client ends first", async (world) => {
      const { client, server } = await pair(world)
      client.write("hello")
      client.end()
      await closed(client, server)
    }),
    row("the server ends first", async (world) => {
      const { client, server } = await pair(world)
      server.write("hello")
      server.end()
      await closed(client, server)
    }),
    row("both end at once", async (world) => {
      const { client, server } = await pair(world)
      client.end("from the client")
      server.end("from the server")
      await closed(client, server)
    }),
    row("question and answer", async (world) => {
      const { client, server } = await pair(world)
      server.once("data", () => server.end("answer"))
      client.write("question")
      await closed(client, server)
    }),
    row("`end` with a last chunk and callbacks", async (world) => {
      const { client, server } = await pair(world)
      client.write("one ", told(world.client, "write"))
      client.end("two", told(world.client, "end"))
      await closed(client, server)
    }),
    row("`end` twice", async (world) => {
      const { client, server } = await pair(world)
      client.end("bye", told(world.client, "first end"))
      client.end(told(world.client, "second end"))
      await closed(client, server)
      client.end(told(world.client, "third end"))
      await sleep(10)
    }),
    row("nothing is sent at all", async (world) => {
      const { client, server } = await pair(world)
      client.end()
      await closed(client, server)
    }),
    row("written, ended before the connection is there", async (world) => {
      const accepted = new Promise<void>((resolve) => {
        void serve(world, (socket) => {
          watch(world.server, socket).on("close", () => resolve())
        }).then(({ port }) => {
          const socket = dial(world, port)
          world.client.log(socket.write("early ", told(world.client, "write")), socket.bytesWritten)
          socket.end("and ended", told(world.client, "end"))
          world.client.log(socket.readyState, socket.bytesWritten)
        })
      })
      await accepted
      await sleep(20)
    }),
    row("`allowHalfOpen` of the server: it answers when the client has ended", async (world) => {
      const { client, server } = await pair(world, { server: { allowHalfOpen: true } })
      client.end("question")
      await once(server, "end")
      world.server.log(server.readyState, server.writable, server.readable)
      world.client.log(client.readyState, client.writable, client.readable)
      await sleep(20)
      server.write("answer ")
      server.end("and more")
      await closed(client, server)
    }),
    row("`allowHalfOpen` of the client: it goes on when the server has ended", async (world) => {
      const { client, server } = await pair(world, { client: { allowHalfOpen: true } })
      server.end("enough")
      await once(client, "end")
      world.client.log(client.readyState, client.writable, client.readable)
      world.server.log(server.readyState, server.writable, server.readable)
      client.write("still here, ")
      await read(server, 12)
      client.end("bye")
      await closed(client, server)
    }),
    row("without `allowHalfOpen` the answer to an end is an end", async (world) => {
      const { client, server } = await pair(world)
      client.end()
      await once(server, "end")
      server.write("too late", told(world.server, "write"))
      await closed(client, server)
    }),
    row("nobody reads: neither `end` nor `close` until somebody does", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.end("unread")
      await sleep(50)
      world.client.log("reads")
      client.resume()
      await closed(client, server)
    }),
    row("nobody reads, and there is nothing to read", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.end()
      await sleep(50)
      world.client.log(client.readyState)
      client.resume()
      await closed(client, server)
    }),
    row("`destroySoon`: what was written arrives", async (world) => {
      const { client, server } = await pair(world)
      client.write("last words")
      client.destroySoon()
      await closed(client, server)
    }),
    row("`destroy` behind a write that is done", async (world) => {
      const { client, server } = await pair(world)
      client.write("last words", () => client.destroy())
      await closed(client, server)
    }),
    row("counts: `bytesRead`, `bytesWritten`", async (world) => {
      const { client, server } = await pair(world)
      client.write("four")
      world.client.log(client.bytesRead, client.bytesWritten)
      client.write("öä", "utf8")
      client.write("0102", "hex")
      await read(server, 10)
      server.end("12345")
      await closed(client, server)
      world.client.log(client.bytesRead, client.bytesWritten)
      world.server.log(server.bytesRead, server.bytesWritten)
    }),
    row("addresses along a life", async (world) => {
      const { client: side, server: other } = world
      const { port } = await serve(world, (socket) => {
        other.log(socket.localAddress, socket.localPort, socket.localFamily)
        other.log(socket.remoteAddress, typeof socket.remotePort, socket.remoteFamily)
        socket.end()
      })
      const client = watch(side, world.track(new side.net.Socket()))
      const tell = () => {
        const { address, family } = client.address() as { readonly address?: string; readonly family?: string }
        side.log(address, family, client.localAddress, typeof client.localPort, client.localFamily)
        side.log(client.remoteAddress, client.remotePort, client.remoteFamily)
      }
      tell()
      client.connect(port, other.address)
      tell()
      await once(client, "connect")
      tell()
      await closed(client)
      tell()
    }),
    row("states along a life", async (world) => {
      const { client, server } = await pair(world, { server: { allowHalfOpen: true } })
      const tell = () => {
        const { closed: isClosed, destroyed, errored, pending, readable, readyState, writable } = client
        world.client.log(
          readyState,
          ...Object.entries({ pending, destroyed, closed: isClosed, readable, writable })
            .filter(([, value]) => value)
            .map(([name]) => name),
          errored
        )
      }
      tell()
      client.end("x")
      tell()
      await once(server, "end")
      tell()
      server.end()
      await once(client, "end")
      tell()
      await closed(client)
      tell()
    }),
    row("the same socket connects again when it is closed", async (world) => {
      const { client: side, server } = world
      const { port } = await serve(world, (socket) => socket.end("welcome"))
      const socket = watch(side, world.track(new side.net.Socket()))
      for (const life of [1, 2]) {
        side.log("life", life)
        socket.connect(port, server.address)
        await once(socket, "close")
        side.log(socket.bytesRead, socket.destroyed)
      }
    }),
    row("it connects again from its `close`, after it was refused", async (world) => {
      const { client: side, server } = world
      const { port } = await serve(world, (socket) => socket.end("welcome"))
      const nobody = await unused(world)
      const socket = watch(side, world.track(new side.net.Socket()))
      socket.connect(nobody, server.address)
      await new Promise<void>((resolve) =>
        socket.once("close", () => {
          socket.connect(port, server.address)
          resolve()
        })
      )
      await once(socket, "close")
    })
  ]
}
