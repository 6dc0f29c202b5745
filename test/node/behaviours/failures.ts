/**
 * What goes wrong, and how it is told.
 */
import type { Socket } from "node:net"
import { type Group, row } from "./row.ts"
import { closed, dial, pair, serve, told, unused, watch } from "./streams.ts"
import { attempt, once, type Side, sleep, uncaught, words, type World } from "./world.ts"

/** A socket that is watched and not connected. */
const fresh = ({ client, track }: World): Socket => watch(client, track(new client.net.Socket()))

const refusing = (side: Side, what: string, act: () => Socket): void =>
  attempt(side, what, () => {
    act().on("error", () => {}).destroy()
    return "nothing"
  })

export const failures: Group = {
  title: "Failures",
  rows: [
    row("ECONNREFUSED: nobody listens", async (world) => {
      const socket = dial(world, await unused(world))
      await closed(socket)
      const { readyState, remoteAddress } = socket
      world.client.log(readyState, remoteAddress, socket.errored !== null)
    }),
    row("ECONNREFUSED: what was written before is told, too", async (world) => {
      const socket = dial(world, await unused(world))
      socket.write("lost", told(world.client, "write"))
      socket.end(told(world.client, "end"))
      await closed(socket)
    }),
    row("ECONNREFUSED: from an address of one's own", async (world) => {
      await closed(dial(world, await unused(world), { localAddress: world.client.address }))
    }),
    row("ECONNREFUSED: every address of a name", async (world) => {
      const { client, server } = world
      const port = await unused(world)
      const socket = dial(world, port, {
        host: "both",
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: 2000,
        lookup: (_, __, callback) =>
          Reflect.apply(callback, undefined, [null, [
            { address: server.address, family: 4 },
            { address: world.elsewhere, family: 4 }
          ]])
      })
      const error = await once(socket, "error") as AggregateError
      client.log(error.constructor.name, error.errors?.map(words).join(" and "))
      await closed(socket)
    }),
    row("a name of several addresses: the next one answers", async (world) => {
      const { client, server } = world
      const { port } = await serve(world, (socket) => socket.end("welcome"))
      const socket = dial(world, port, {
        host: "both",
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: 2000,
        lookup: (_, options, callback) => {
          client.log("lookup", options.all)
          Reflect.apply(callback, undefined, [null, [
            { address: world.elsewhere, family: 4 },
            { address: server.address, family: 4 }
          ]])
        }
      })
      await closed(socket)
    }),
    row("a `lookup` of one's own, and the event", async (world) => {
      const { client, server } = world
      const { port } = await serve(world, (socket) => socket.end())
      const socket = dial(world, port, {
        host: "peer",
        autoSelectFamily: false,
        lookup: (name, { all, family }, callback) => {
          client.log("asked for", name, all, family)
          callback(null, server.address, 4)
        }
      })
      socket.on("lookup", (error, address, family, host) => client.log("lookup", error, address, family, host))
      await closed(socket)
    }),
    row("a `lookup` that fails", async (world) => {
      const { client } = world
      const socket = dial(world, 80, {
        host: "peer",
        lookup: (_, __, callback) => callback(Object.assign(new Error("no names today"), { code: "ENOTODAY" }), "")
      })
      socket.on("lookup", (error, address) => client.log("lookup", error.message, address))
      await closed(socket)
    }),
    row("ENOTFOUND: a name that nobody knows", async (world) => {
      const socket = dial(world, 80, { host: "nobody.invalid" })
      socket.on(
        "lookup",
        (error, address, family, host) =>
          world.client.log("lookup", (error as NodeJS.ErrnoException).code, address, family, host)
      )
      await closed(socket)
    }),
    row("EADDRNOTAVAIL: a `localAddress` that is another's", async (world) => {
      const { port } = await serve(world)
      await closed(dial(world, port, { localAddress: "192.0.2.77" }))
    }),
    row("EADDRINUSE: a `localPort` that is taken", async (world) => {
      const { client, port } = await pair(world)
      world.ports.add(client.localPort!)
      await closed(dial(world, port, { localAddress: client.localAddress!, localPort: client.localPort! }))
    }),
    row("arguments that `connect` refuses", async (world) => {
      const { client } = world
      const { net } = client
      refusing(client, "no port", () => net.connect({} as { port: number }))
      refusing(client, "port -1", () => net.connect(-1))
      refusing(client, "port 65536", () => net.connect(65_536))
      refusing(client, "port as text", () => net.connect({ port: "x" as unknown as number }))
      refusing(client, "an empty port", () => net.connect("" as unknown as number))
      refusing(client, "a long port", () => net.connect({ port: "x".repeat(40) as unknown as number }))
      refusing(client, "localAddress", () => net.connect({ port: 1, localAddress: "x" }))
      refusing(client, "localPort", () => net.connect({ port: 1, localPort: "x" as unknown as number }))
      refusing(client, "host", () => net.connect({ port: 1, host: 5 as unknown as string }))
      refusing(client, "lookup", () => net.connect({ port: 1, host: "x", lookup: 5 as unknown as undefined }))
      const host = "192.0.2.77"
      refusing(client, "autoSelectFamily", () => net.connect({ port: 1, host, autoSelectFamily: 1 as never }))
      for (const autoSelectFamilyAttemptTimeout of [0, 1.5, "x" as never]) {
        refusing(client, "its timeout", () => net.connect({ port: 1, host, autoSelectFamilyAttemptTimeout }))
      }
      refusing(client, "signal", () => new net.Socket({ signal: 5 as unknown as AbortSignal }))
      refusing(client, "timeout", () => new net.Socket().setTimeout("x" as unknown as number))
      refusing(client, "a negative timeout", () => new net.Socket().setTimeout(-1))
      refusing(client, "a large one", () => new net.Socket().setTimeout(-5_000_000_000))
      refusing(client, "timeout callback", () => new net.Socket().setTimeout(1, 5 as unknown as () => void))
    }),
    row("how names with several addresses are tried, for all sockets", async ({ client }) => {
      const { net } = client
      for (const value of [0, 1.5, "x" as never, 5]) {
        attempt(client, `timeout ${value}`, () => net.setDefaultAutoSelectFamilyAttemptTimeout(value))
      }
      client.log(net.getDefaultAutoSelectFamilyAttemptTimeout())
      net.setDefaultAutoSelectFamilyAttemptTimeout(250)
      attempt(client, "autoSelectFamily", () => net.setDefaultAutoSelectFamily("x" as never))
      client.log(net.getDefaultAutoSelectFamily())
    }),
    row("ECONNRESET: the peer resets while we read", async (world) => {
      const { client, server } = await pair(world)
      server.resetAndDestroy()
      await closed(client, server)
      world.client.log(client.errored !== null, client.destroyed)
    }),
    row("ECONNRESET: behind data that is not read, the data is lost", async (world) => {
      const { client, server } = await pair(world, { clientReads: false })
      server.write("unread")
      await sleep(30)
      server.resetAndDestroy()
      await sleep(30)
      client.resume()
      await closed(client, server)
    }),
    row("ECONNRESET: the peer closes with something unread", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      server.pause()
      client.write("never read")
      await sleep(30)
      server.destroy()
      await closed(client, server)
    }),
    row("ECONNRESET while much is being written", async (world) => {
      const { client, server } = await pair(world, { serverReads: false })
      client.write(
        Buffer.alloc(20_000_000),
        (error) =>
          world.client.log("write callback", (error as NodeJS.ErrnoException).syscall === undefined ? "?" : "failed")
      )
      await sleep(50)
      client.removeAllListeners("error")
      client.on(
        "error",
        (error: NodeJS.ErrnoException) => world.client.log("error", /ECONNRESET|EPIPE/.test(error.code!))
      )
      server.resetAndDestroy()
      await closed(client, server)
    }),
    row("EPIPE: writing again to a peer that is gone", async (world) => {
      const { client, server } = await pair(world, { client: { allowHalfOpen: true } })
      server.destroy()
      await once(client, "end")
      client.write("first", told(world.client, "first write"))
      await sleep(50)
      if (!client.destroyed) client.write("second", told(world.client, "second write"))
      await closed(client)
    }),
    row("`resetAndDestroy` while connecting, before, and after", async (world) => {
      const { port } = await serve(world)
      const before = fresh(world)
      before.resetAndDestroy()
      await closed(before)
      const connecting = dial(world, port)
      connecting.resetAndDestroy()
      await closed(connecting)
      world.client.log(connecting.resetAndDestroy() === connecting)
      await sleep(20)
    }),
    row("ERR_STREAM_WRITE_AFTER_END", async (world) => {
      const { client, server } = await pair(world)
      client.end("bye")
      client.write("more", told(world.client, "write"))
      await closed(client, server)
    }),
    row("ERR_STREAM_DESTROYED: a write after `destroy`", async (world) => {
      const { client, server } = await pair(world)
      client.destroy()
      world.client.log(client.write("more", told(world.client, "write")))
      await closed(client, server)
      client.write("even later", told(world.client, "write"))
      await sleep(10)
    }),
    row("a write to a socket that was never connected", async (world) => {
      const socket = fresh(world)
      socket.write("where to?", told(world.client, "write"))
      await sleep(20)
      world.client.log(socket.destroyed, socket.readyState)
    }),
    row("what cannot be written", async (world) => {
      const { client } = await pair(world)
      attempt(world.client, "null", () => client.write(null as unknown as string))
      attempt(world.client, "a number", () => client.write(5 as unknown as string))
      attempt(world.client, "an encoding that is none", () => client.write("x", "klingon" as BufferEncoding))
    }),
    row("`destroy` with an error", async (world) => {
      const { client, server } = await pair(world)
      client.destroy(new Error("enough of this"))
      await closed(client, server)
      world.client.log(client.errored?.message)
    }),
    row("a timeout is told, and nothing else happens", async (world) => {
      const { client } = await pair(world)
      world.client.log(client.timeout, client.setTimeout(30, () => world.client.log("callback")) === client)
      world.client.log(client.timeout)
      await once(client, "timeout")
      world.client.log(client.destroyed, client.readyState)
    }),
    row("what arrives and what is sent puts a timeout off", async (world) => {
      const { client, server } = await pair(world)
      let latest = performance.now()
      const active = () => {
        latest = performance.now()
      }
      // A machine that is busy may well be silent for longer than that, but the timeout must not come sooner.
      client.removeAllListeners("timeout").on("timeout", () => {
        if (performance.now() - latest < 500) world.client.log("too soon")
      })
      client.on("data", active).setTimeout(1000)
      for (let index = 0; index < 3; index++) {
        await sleep(350)
        server.write(".")
        await sleep(350)
        client.write(".")
        active()
      }
      await once(client, "timeout")
      world.client.log("timeout")
    }),
    row("a timeout of 0 is none", async (world) => {
      const { client } = await pair(world)
      client.setTimeout(30)
      client.setTimeout(0)
      await sleep(80)
      world.client.log(client.timeout)
    }),
    row("`timeout` as an option of `connect`", async (world) => {
      const { client } = await pair(world, { client: { timeout: 1000 } })
      await once(client, "timeout")
      client.destroy()
      await closed(client)
    }),
    row("`signal`: before, while connecting, while open", async (world) => {
      const { port } = await serve(world)
      const before = dial(world, port, { signal: AbortSignal.abort() })
      await closed(before)
      const controller = new AbortController()
      const connecting = dial(world, port, { signal: controller.signal })
      controller.abort()
      await closed(connecting)
      const later = new AbortController()
      const open = dial(world, port, { signal: later.signal })
      await once(open, "connect")
      later.abort(new Error("because"))
      await closed(open)
      world.client.log(open.errored?.cause instanceof Error)
    }),
    row("an error that nobody listens for is thrown, not lost", async (world) => {
      const { client, server, track } = world
      const socket = track(client.net.connect(await unused(world), server.address))
      client.log("uncaught", words(await uncaught()))
      client.log(socket.destroyed)
    })
  ]
}
