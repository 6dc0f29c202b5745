/**
 * `destroy` in every state, and calls out of season.
 */
import { type Group, row } from "./row.ts"
import { closed, dial, pair, serve, told, watch } from "./streams.ts"
import { attempt, once, sleep } from "./world.ts"

export const states: Group = {
  title: "Destroyed, or called out of season",
  rows: [
    row("`destroy` before `connect`", async (world) => {
      const { client } = world
      const socket = watch(client, world.track(new client.net.Socket()))
      client.log(socket.destroy() === socket, socket.destroyed, socket.readyState)
      await closed(socket)
    }),
    row("`destroy` while a name is looked up", async (world) => {
      const { client, server } = world
      const { port } = await serve(world, () => server.log("connection"))
      const socket = dial(world, port, {
        host: "peer",
        lookup: (_, __, callback) => void setTimeout(() => callback(null, server.address, 4), 20)
      })
      socket.destroy()
      await closed(socket)
      await sleep(40)
      client.log(socket.readyState)
    }),
    row("`destroy` while connecting", async (world) => {
      const { port } = await serve(world)
      const socket = dial(world, port)
      world.client.log(socket.readyState)
      socket.destroy()
      world.client.log(socket.readyState, socket.connecting, socket.pending)
      await closed(socket)
    }),
    row("`destroy` while connecting, with something written", async (world) => {
      const { port } = await serve(world)
      const socket = dial(world, port)
      socket.write("lost", told(world.client, "write"))
      socket.destroy()
      await closed(socket)
    }),
    row("`destroy` in `connect`", async (world) => {
      const { port } = await serve(world, (socket) => watch(world.server, socket))
      const socket = dial(world, port)
      socket.on("connect", () => socket.destroy())
      await closed(socket)
      await sleep(30)
    }),
    row("`destroy` when connected", async (world) => {
      const { client, server } = await pair(world)
      client.destroy()
      world.client.log(client.readyState, client.writable, client.readable)
      await closed(client, server)
    }),
    row("`destroy` by the server", async (world) => {
      const { client, server } = await pair(world)
      server.destroy()
      await closed(client, server)
    }),
    row("`destroy` when we have ended", async (world) => {
      const { client, server } = await pair(world, { server: { allowHalfOpen: true } })
      client.end()
      await once(server, "end")
      client.destroy()
      await closed(client)
      server.end()
      await closed(server)
    }),
    row("`destroy` when the peer has ended", async (world) => {
      const { client, server } = await pair(world, { client: { allowHalfOpen: true } })
      server.end()
      await once(client, "end")
      client.destroy()
      await closed(client, server)
    }),
    row("`destroy` while much is being written", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      server.on("error", () => {}).resume()
      client.write(Buffer.alloc(20_000_000), told(world.client, "write"))
      client.destroy()
      await closed(client, server)
    }),
    row("`destroy` in `data`", async (world) => {
      const { client, server } = await pair(world)
      client.on("data", () => client.destroy())
      server.write("one")
      await closed(client, server)
    }),
    row("`destroy` in `end`", async (world) => {
      const { client, server } = await pair(world)
      client.on("end", () => client.destroy())
      server.end("bye")
      await closed(client, server)
    }),
    row("`destroy` twice, with another error", async (world) => {
      const { client, server } = await pair(world)
      client.destroy(new Error("first"))
      client.destroy(new Error("second"))
      await closed(client, server)
      client.destroy()
      await sleep(10)
    }),
    row("`destroy` right behind `end`", async (world) => {
      const { client, server } = await pair(world)
      client.end("perhaps", told(world.client, "end"))
      client.destroy()
      await closed(client, server)
    }),
    row("`connect` while connecting", async (world) => {
      const { client, server } = world
      const { port } = await serve(world)
      const socket = world.track(client.net.connect(port, server.address))
      socket.on("error", ({ code, syscall }: NodeJS.ErrnoException) => client.log("error", code, syscall))
      attempt(client, "connect", () => socket.connect(port, server.address) === socket)
      await closed(socket)
    }),
    row("`setNoDelay`, `setKeepAlive`, `ref`, `unref`, `setTimeout` chain in every state", async (world) => {
      const { client } = world
      const { port } = await serve(world)
      const socket = watch(client, world.track(new client.net.Socket()))
      const chain = (when: string) => {
        client.log(
          when,
          [
            socket.setNoDelay(),
            socket.setNoDelay(false),
            socket.setKeepAlive(true, 1000),
            socket.setKeepAlive(false),
            socket.unref(),
            socket.ref(),
            socket.setTimeout(0),
            socket.pause(),
            socket.resume(),
            socket.setEncoding("utf8")
          ].every((self) => self === socket)
        )
      }
      chain("fresh")
      socket.connect(port, world.server.address)
      chain("connecting")
      await once(socket, "connect")
      chain("open")
      socket.destroy()
      chain("destroyed")
      await closed(socket)
      chain("closed")
    }),
    row("`end` before `connect`", async (world) => {
      const { client } = world
      const socket = watch(client, world.track(new client.net.Socket()))
      socket.end("from before", told(client, "end"))
      await closed(socket)
      client.log(socket.readyState, socket.destroyed)
    }),
    row("reading a socket that is not connected", async (world) => {
      const { client } = world
      const socket = watch(client, world.track(new client.net.Socket()))
      client.log(socket.read(), socket.readable, socket.writable)
      await sleep(10)
      client.log(socket.readyState)
    }),
    row("`Symbol.asyncDispose`", async (world) => {
      const { client, server } = await pair(world)
      await client[Symbol.asyncDispose]()
      world.client.log(client.destroyed)
      await closed(server)
    }),
    row("what a socket is", async (world) => {
      const { client, net } = { client: await pair(world), net: world.client.net }
      const socket = client.client
      world.client.log(
        socket instanceof net.Socket,
        typeof socket.pipe,
        socket.allowHalfOpen,
        socket.writableHighWaterMark,
        socket.readableHighWaterMark
      )
      world.server.log(client.server instanceof world.server.net.Socket)
      world.client.log(net.isIP("10.0.0.1"), net.isIP("::1"), net.isIP("x"), net.isIPv4("10.0.0.1"), net.isIPv6("x"))
    })
  ]
}
