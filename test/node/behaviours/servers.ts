/**
 * Servers.
 */
import type { Server, ServerOpts, SocketConstructorOpts } from "node:net"
import { type Group, row } from "./row.ts"
import { closed, dial, pair, serve, unused, watch } from "./streams.ts"
import { attempt, once, type Side, sleep, words, type World } from "./world.ts"

const watched = ({ track }: World, side: Side, server: Server): Server => {
  for (const event of ["listening", "close"]) server.on(event, () => side.log(event))
  server.on("error", (error) => side.log("error", words(error)))
  return track(server)
}

const connections = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => error ? reject(error) : resolve(count)))

const refusing = (world: World, what: string, ...given: ReadonlyArray<unknown>): void => {
  const { server: side } = world
  attempt(side, what, () => {
    const server = world.track(side.net.createServer())
    server.on("error", () => {})
    Reflect.apply(server.listen, server, given)
    return "nothing"
  })
}

export const servers: Group = {
  title: "Servers",
  rows: [
    row("listening: `listening` in a later tick, and its callback", async (world) => {
      const { server: side } = world
      const server = watched(world, side, side.net.createServer())
      side.log(server.listening, server.address())
      server.listen(0, side.address, () => side.log("callback"))
      side.log("listen has returned", server.listening)
      await once(server, "listening")
      const { address, family, port } = server.address() as { address: string; family: string; port: number }
      side.log(server.listening, address, family, port > 0)
      server.close((error) => side.log("close callback", error))
      side.log("close has returned", server.listening, server.address())
      await once(server, "close")
    }),
    row("forms of `listen`", async (world) => {
      const { net } = world.server
      const { address, log } = world.server
      const listens = async (what: string, act: (server: Server) => unknown) => {
        const server = world.track(net.createServer())
        const self = act(server) === server
        await once(server, "listening")
        log(what, self, (server.address() as { address: string }).address === address)
      }
      await listens("port, host", (server) => server.listen(0, address))
      await listens("port, host, backlog", (server) => server.listen(0, address, 10))
      await listens("options", (server) => server.listen({ port: 0, host: address, backlog: 5, exclusive: true }))
      await listens("port as text", (server) => server.listen("0" as unknown as number, address))
      await listens("no backlog", (server) => server.listen({ port: 0, host: address, backlog: 0 }))
      await listens("a negative backlog", (server) => server.listen(0, address, -1))
      await listens("no descriptor", (server) => server.listen({ port: 0, host: address, fd: -1, path: "" }))
    }),
    row("`listen`, `close` and `listen` elsewhere at once", async (world) => {
      const { server: side } = world
      const [first, second] = [await unused(world), await unused(world)]
      const server = watched(world, side, side.net.createServer())
      server.listen(first, side.address)
      server.close()
      server.listen(second, side.address)
      await once(server, "listening")
      side.log((server.address() as { port: number }).port === second)
    }),
    row("EADDRINUSE: a port that is taken", async (world) => {
      const { server: side } = world
      const { port } = await serve(world)
      const server = watched(world, side, side.net.createServer())
      server.listen(port, side.address)
      await once(server, "error")
      side.log(server.listening, server.address())
      server.listen(0, side.address)
      await once(server, "listening")
    }),
    row("EADDRNOTAVAIL: an address that is not one's own", async (world) => {
      const server = watched(world, world.server, world.server.net.createServer())
      server.listen(0, "192.0.2.77")
      await once(server, "error")
    }),
    row("ENOTFOUND: a name that nobody knows", async (world) => {
      const server = watched(world, world.server, world.server.net.createServer())
      server.listen(80, "nobody.invalid")
      await once(server, "error")
    }),
    row("ERR_SERVER_ALREADY_LISTEN", async (world) => {
      const { server: side } = world
      const { server } = await serve(world)
      attempt(side, "listen", () => server.listen(0, side.address))
    }),
    row("`listen` twice at once", async (world) => {
      const { server: side } = world
      const server = world.track(side.net.createServer())
      server.on("error", () => {})
      server.listen(0, side.address)
      attempt(side, "listen", () => server.listen(0, side.address))
    }, "Node looks an address up first, and does not notice"),
    row("ERR_SERVER_NOT_RUNNING", async (world) => {
      const { server: side } = world
      const server = watched(world, side, side.net.createServer())
      attempt(side, "close", () => server.close((error) => side.log("callback", error && words(error))) === server)
      await once(server, "close")
      attempt(side, "close without a callback", () => server.close() === server)
      await sleep(10)
    }),
    row("what `listen` and `createServer` refuse", async (world) => {
      refusing(world, "port -1", -1)
      refusing(world, "port 65536", 65_536)
      refusing(world, "port x", { port: "x" })
      refusing(world, "an empty port", "")
      refusing(world, "a long port", { port: "a word of more than twenty-eight letters" })
      refusing(world, "true", true)
      refusing(world, "a symbol", Symbol("port"))
      refusing(world, "nothing in options", {})
      refusing(world, "signal", { port: 0, signal: 5 })
      const creating = (what: string, ...given: ReadonlyArray<unknown>) =>
        attempt(
          world.server,
          `createServer ${what}`,
          () => Reflect.apply(world.server.net.createServer, undefined, given)
        )
      creating("of a number", 5)
      creating("with highWaterMark", { highWaterMark: "x" })
      creating("with keepAliveInitialDelay", { keepAliveInitialDelay: "x" })
      creating("with blockList", { blockList: "x" })
      creating("without a listener", {}, null)
    }),
    row("`connection`, and who it is", async (world) => {
      const { server: side } = world
      const { port, server } = await serve(world)
      server.on(
        "connection",
        (socket) =>
          side.log(
            "connection",
            socket.remoteAddress,
            socket.localPort,
            socket.readyState,
            socket.pending,
            (socket as unknown as { server: Server }).server === server
          )
      )
      const client = dial(world, port)
      await once(client, "connect")
      await sleep(20)
    }),
    row("`close` waits for connections, and takes no new ones", async (world) => {
      const { client, listener, port, server } = await pair(world)
      listener.on("close", () => world.server.log("server closed"))
      listener.close(() => world.server.log("callback"))
      world.server.log(listener.listening)
      await sleep(30)
      await closed(dial(world, port, {}, { prefix: "late " }))
      client.end("bye")
      await closed(client, server, listener)
    }),
    row("`close` twice", async (world) => {
      const { server } = await serve(world)
      server.close((error) => world.server.log("first", error && words(error)))
      server.close((error) => world.server.log("second", error && words(error)))
      await once(server, "close")
      await sleep(10)
    }),
    row("listening again on the same port", async (world) => {
      const { server: side } = world
      const { port, server } = await serve(world)
      watched(world, side, server)
      server.close()
      await once(server, "close")
      server.listen(port, side.address)
      await once(server, "listening")
      side.log((server.address() as { port: number }).port)
    }),
    row("listening again at once after connections that the server has ended", async (world) => {
      const { client, listener, port, server } = await pair(world)
      server.end()
      listener.close()
      await closed(client, server)
      const again = watched(world, world.server, world.server.net.createServer())
      again.listen(port, world.server.address)
      await once(again, "listening")
    }),
    row("`getConnections`", async (world) => {
      const { client, listener, port, server } = await pair(world)
      world.server.log(await connections(listener))
      const another = dial(world, port, {}, { prefix: "another " })
      await once(another, "connect")
      await sleep(20)
      world.server.log(await connections(listener))
      client.end()
      await closed(client, server)
      await sleep(5)
      world.server.log(await connections(listener))
    }),
    row("`maxConnections` and `drop`", async (world) => {
      const { server: side } = world
      const { port, server } = await serve(world, () => side.log("connection"))
      server.maxConnections = 1
      server.on("drop", (dropped) => {
        const { localAddress, localFamily, localPort, remoteAddress, remoteFamily, remotePort } = dropped!
        side.log("drop", localAddress, localPort, localFamily, remoteAddress, typeof remotePort, remoteFamily)
      })
      const first = dial(world, port, {}, { prefix: "first " })
      await once(first, "connect")
      await sleep(20)
      const second = dial(world, port, {}, { prefix: "second " })
      await closed(second)
    }),
    row("`maxConnections` of 0 and of null", async (world) => {
      const { server: side } = world
      const { port, server } = await serve(world, () => side.log("connection"))
      server.on("drop", () => side.log("drop"))
      for (const most of [0, null]) {
        server.maxConnections = most as number
        const heard = Promise.race([once(server, "drop"), once(server, "connection")])
        const socket = world.track(world.client.net.connect(port, side.address)).on("error", () => {})
        await heard
        socket.destroy()
      }
    }),
    row("`allowHalfOpen` and `pauseOnConnect` of a server are its sockets'", async (world) => {
      const { server } = await pair(world, { server: { allowHalfOpen: true, pauseOnConnect: true } })
      world.server.log(server.allowHalfOpen, server.isPaused())
    }),
    row("`signal` and `onread` are not for a server's sockets", async (world) => {
      const { server: side } = world
      const options: SocketConstructorOpts = {
        signal: AbortSignal.abort(),
        onread: { buffer: new Uint8Array(4), callback: () => true }
      }
      const server = world.track(side.net.createServer(options as ServerOpts, (socket) => {
        watch(side, world.track(socket))
      }))
      server.listen(0, side.address)
      await once(server, "listening")
      const socket = dial(world, (server.address() as { port: number }).port)
      socket.end("hello")
      await closed(socket)
    }),
    row("`signal` closes a server", async (world) => {
      const controller = new AbortController()
      const { server } = await serve(world, () => {}, { signal: controller.signal })
      watched(world, world.server, server)
      controller.abort()
      await once(server, "close")
      world.server.log(server.listening)
    }),
    row("a `signal` that is aborted already", async (world) => {
      const { server: side } = world
      const server = watched(world, side, side.net.createServer())
      server.listen({ port: 0, host: side.address, signal: AbortSignal.abort() })
      await once(server, "close")
      await sleep(10)
    }),
    row("`ref`, `unref` and `asyncDispose`", async (world) => {
      const { server } = await serve(world)
      watched(world, world.server, server)
      world.server.log(server.unref() === server, server.ref() === server)
      await server[Symbol.asyncDispose]()
      world.server.log(server.listening)
    }),
    row("a server that closes while somebody connects", async (world) => {
      const { port, server } = await serve(world, (socket) => watch(world.server, socket))
      server.close()
      await closed(dial(world, port))
    }),
    row("a server that destroys each connection at once", async (world) => {
      const { port } = await serve(world, (socket) => {
        socket.destroy()
      })
      const client = dial(world, port)
      await closed(client)
    }),
    row("twenty connections at once", async (world) => {
      const { port, server } = await serve(world, (socket) => socket.end("x"))
      server.on("connection", () => world.server.log("connection"))
      const sockets = Array.from({ length: 20 }, () => dial(world, port, {}, { prefix: "c ", reads: false }))
      for (const socket of sockets) {
        socket.removeAllListeners()
        socket.resume()
      }
      await closed(...sockets)
      world.client.log("all closed")
    }),
    row("what a server is", async (world) => {
      const { net, log } = world.server
      const server = net.createServer({ highWaterMark: 1000 })
      log(server instanceof net.Server, typeof server.on, server.listening)
    })
  ]
}
