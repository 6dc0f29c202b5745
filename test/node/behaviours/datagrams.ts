/**
 * `node:dgram`.
 */
import type { Socket, SocketOptions } from "node:dgram"
import { type Group, row } from "./row.ts"
import { attempt, once, type Side, sleep, uncaught, words, type World } from "./world.ts"

const watched = (
  { track }: World,
  side: Side,
  options: Partial<SocketOptions> = {},
  events = ["listening", "connect", "error", "close"]
): Socket => {
  const socket = track(side.dgram.createSocket({ type: "udp4", ...options }))
  for (const event of events) {
    socket.on(event, (error) => side.log(event, ...(event === "error" ? [words(error)] : [])))
  }
  return socket
}

const bound = async (world: World, side: Side, options?: Partial<SocketOptions>): Promise<Socket> => {
  const socket = watched(world, side, options)
  socket.on("message", (message, { family, size }) => side.log("message", message.toString(), family, size))
  socket.bind(0, side.address)
  await once(socket, "listening")
  world.ports.add(socket.address().port)
  return socket
}

const sent = (side: Side, what: string, done: () => void = () => {}) => (error: Error | null, bytes?: number): void => {
  side.log("sent", what, error === null ? bytes : words(error))
  done()
}

/** A port of the server on which nobody listens. */
const unused = async ({ ports, server, track }: World): Promise<number> => {
  const socket = track(server.dgram.createSocket("udp4"))
  socket.bind(0, server.address)
  await once(socket, "listening")
  const { port } = socket.address()
  ports.add(port)
  socket.close()
  return port
}

export const datagrams: Group = {
  title: "Datagrams",
  rows: [
    row("bind: the callback, then `listening`, in a later tick", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      socket.bind(0, () => client.log("callback"))
      client.log("bind has returned")
      await once(socket, "listening")
      const { address, family, port } = socket.address()
      client.log(address, family, port > 0)
      socket.close(() => client.log("close callback"))
      client.log("close has returned")
      await once(socket, "close")
    }),
    row("bind without arguments", async (world) => {
      const socket = watched(world, world.client)
      socket.bind()
      await once(socket, "listening")
      world.client.log(socket.address().address)
    }),
    row("bind with a callback alone", async (world) => {
      const socket = watched(world, world.client)
      await new Promise<void>((resolve) => socket.bind(() => resolve()))
      world.client.log(socket.address().address)
    }),
    row("bind with options", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      await new Promise<void>((resolve) =>
        socket.bind({ address: client.address, port: 0, exclusive: true }, () => resolve())
      )
      client.log(socket.address().address)
    }),
    row("bind twice", async (world) => {
      const socket = watched(world, world.client)
      socket.bind()
      attempt(world.client, "bind", () => socket.bind())
      await once(socket, "listening")
      attempt(world.client, "bind", () => socket.bind())
    }),
    row("EADDRINUSE: a port that is taken, and another try", async (world) => {
      const { client } = world
      const first = await bound(world, client)
      const second = watched(world, client)
      second.bind(first.address().port, client.address)
      await once(second, "error")
      second.bind(0, client.address)
      await once(second, "listening")
    }),
    row("`reuseAddr`: two sockets on a port", async (world) => {
      const first = await bound(world, world.client, { reuseAddr: true })
      const second = watched(world, world.client, { reuseAddr: true })
      second.bind(first.address().port, world.client.address)
      await once(second, "listening")
      world.client.log(second.address().port === first.address().port)
    }),
    row("EADDRNOTAVAIL: an address that is not one's own", async (world) => {
      const socket = watched(world, world.client)
      socket.bind(0, "192.0.2.77")
      await once(socket, "error")
    }),
    row("EINVAL: an address of IPv6 for a socket of IPv4", async (world) => {
      const socket = watched(world, world.client)
      socket.bind(0, "::1")
      await once(socket, "error")
      socket.send("x", 9, "::1", sent(world.client, "x"))
      await sleep(20)
    }),
    row("ENOTFOUND: a name that nobody knows", async (world) => {
      const socket = watched(world, world.client)
      socket.bind(0, "nobody.invalid")
      await once(socket, "error")
      socket.send("x", 9, "nobody.invalid")
      await once(socket, "error")
      await new Promise<void>((resolve) => socket.send("x", 9, "nobody.invalid", sent(world.client, "x", resolve)))
    }),
    row("a `lookup` of one's own", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const socket = watched(world, client, {
        // By the types of Node there are options.
        lookup: (name, family: unknown, callback) => {
          client.log("lookup", name, family)
          callback(null, name === "peer" ? server.address : client.address, 4)
        }
      })
      socket.send("by name", receiver.address().port, "peer", sent(client, "by name"))
      await once(receiver, "message")
    }),
    row("a `lookup` that fails", async (world) => {
      const { client } = world
      const socket = watched(world, client, {
        lookup: (_, __, callback) => callback(Object.assign(new Error("no names today"), { code: "ENOTODAY" }), "", 4)
      })
      socket.bind(0, "peer")
      client.log("bind has returned")
    }),
    row("question and answer; `rinfo`", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      receiver.on("message", (message, from) => {
        server.log(from.address, from.family, from.port === sender.address().port, from.size)
        receiver.send(`${message}!`, from.port, from.address)
      })
      const sender = await bound(world, client)
      sender.send("hello", receiver.address().port, server.address)
      await once(sender, "message")
    }),
    row("send binds a socket that is not", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const sender = watched(world, client)
      sender.send("first", receiver.address().port, server.address, sent(client, "first"))
      sender.send("second", receiver.address().port, server.address, sent(client, "second"))
      attempt(client, "bind", () => sender.bind())
      await once(receiver, "message")
      await once(receiver, "message")
    }),
    row("forms of send: string, view, slice, list, nothing", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const sender = watched(world, client)
      const { port } = receiver.address()
      const to = server.address
      const each = [
        () => sender.send("text", port, to, sent(client, "text")),
        () => sender.send(new Uint16Array([0x6161, 0x6262]), port, to, sent(client, "view")),
        () => sender.send(new DataView(new Uint8Array([65, 66, 67]).buffer, 1), port, to, sent(client, "DataView")),
        () => sender.send("0123456789", 2, 3, port, to, sent(client, "slice")),
        () => sender.send(["list of ", Buffer.from("two")], port, to, sent(client, "list")),
        () => sender.send([], port, to, sent(client, "nothing")),
        () => sender.send("", port, to, sent(client, "empty"))
      ]
      for (const send of each) {
        const arrived = once(receiver, "message")
        send()
        await arrived
      }
    }),
    row("arguments that send refuses", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      const send = socket.send.bind(socket) as (...all: ReadonlyArray<unknown>) => void
      attempt(client, "no port", () => send("x"))
      attempt(client, "port 0", () => send("x", 0))
      attempt(client, "port 65536", () => send("x", 65_536, "127.0.0.1"))
      attempt(client, "a number", () => send(5, 9))
      attempt(client, "a list with a number", () => send([5], 9))
      attempt(client, "an offset too far", () => send("abc", 4, 1, 9))
      attempt(client, "a length too long", () => send("abc", 2, 5, 9))
      attempt(client, "a number as address", () => send("abc", 9, 7))
      socket.close()
      attempt(client, "closed", () => send("abc", 9))
    }),
    row("EMSGSIZE: 65,508 octets; 65,507 go", async (world) => {
      const { client, server } = world
      const receiver = watched(world, server)
      receiver.on("message", (message) => server.log("message of", message.length))
      receiver.bind(0, server.address)
      await once(receiver, "listening")
      const { port } = receiver.address()
      world.ports.add(port)
      const sender = watched(world, client)
      const arrived = once(receiver, "message")
      sender.send(Buffer.alloc(65_508), port, server.address, sent(client, "65,508"))
      sender.send(Buffer.alloc(65_507), port, server.address, sent(client, "65,507"))
      await arrived
    }),
    row("EACCES: broadcast without `setBroadcast`", async (world) => {
      const socket = watched(world, world.client)
      await new Promise<void>((resolve) =>
        socket.send("x", 9, "255.255.255.255", sent(world.client, "to all", resolve))
      )
      socket.setBroadcast(true)
      attempt(world.client, "setBroadcast", () => socket.setBroadcast(true))
    }),
    row("connect: `connect`, `remoteAddress`, what is refused", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const { port } = receiver.address()
      const socket = watched(world, client)
      attempt(client, "remoteAddress", () => socket.remoteAddress())
      socket.connect(port, server.address, () => client.log("callback"))
      attempt(client, "connect", () => socket.connect(port, server.address))
      attempt(client, "remoteAddress", () => socket.remoteAddress())
      await once(socket, "connect")
      const remote = socket.remoteAddress()
      client.log(remote.address, remote.family, remote.port, socket.address().address)
      attempt(client, "connect", () => socket.connect(port, server.address))
      attempt(client, "send to somebody", () => socket.send("x", port, server.address))
    }),
    row("connected: forms of send", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const socket = watched(world, client)
      socket.connect(receiver.address().port, server.address)
      await once(socket, "connect")
      for (
        const send of [
          () => socket.send("text", sent(client, "text")),
          () => socket.send("0123456789", 2, 3, sent(client, "slice")),
          () => socket.send(["a", "b"], sent(client, "list"))
        ]
      ) {
        const arrived = once(receiver, "message")
        send()
        await arrived
      }
    }),
    row("connected: others are not heard", async (world) => {
      const { client, server } = world
      const peer = await bound(world, server)
      const stranger = await bound(world, server)
      const socket = await bound(world, client)
      socket.connect(peer.address().port, server.address)
      await once(socket, "connect")
      const { address, port } = socket.address()
      const arrived = once(socket, "message")
      stranger.send("from a stranger", port, address)
      await sleep(30)
      peer.send("from the peer", port, address)
      await arrived
    }),
    row("disconnect, and connecting to another", async (world) => {
      const { client, server } = world
      const first = await bound(world, server)
      const second = await bound(world, server)
      const socket = watched(world, client)
      attempt(client, "disconnect", () => socket.disconnect())
      socket.connect(first.address().port, server.address)
      await once(socket, "connect")
      attempt(client, "disconnect", () => socket.disconnect())
      attempt(client, "disconnect", () => socket.disconnect())
      attempt(client, "remoteAddress", () => socket.remoteAddress())
      socket.connect(second.address().port, server.address)
      await once(socket, "connect")
      client.log(socket.remoteAddress().port === second.address().port)
    }),
    row("disconnect: the port of a socket that nobody has bound", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const socket = watched(world, client)
      socket.connect(receiver.address().port, server.address)
      await once(socket, "connect")
      socket.disconnect()
      client.log(socket.address().address, socket.address().port === 0 ? "port 0" : "its port")
    }, "Linux takes the port away; strata leaves it, so that the socket can be told from others"),
    row("arguments that connect refuses", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      attempt(client, "port 0", () => socket.connect(0))
      attempt(client, "port 70000", () => socket.connect(70_000))
      attempt(client, "a number as address", () => Reflect.apply(socket.connect, socket, [9, 7]))
    }),
    row("connect to a name that nobody knows", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      socket.connect(9, "nobody.invalid")
      await once(socket, "error")
      await new Promise<void>((resolve) =>
        Reflect.apply(socket.connect, socket, [9, "nobody.invalid", (error: Error) => {
          client.log("callback", words(error))
          resolve()
        }])
      )
    }),
    row("ECONNREFUSED: a connected socket hears that nobody listens", async (world) => {
      const { client, server } = world
      const socket = watched(world, client)
      socket.connect(await unused(world), server.address)
      await once(socket, "connect")
      socket.send("anybody?")
      await once(socket, "error")
    }),
    row("nobody listens: a socket without a peer hears nothing of it", async (world) => {
      const { client, server } = world
      const socket = watched(world, client)
      const port = await unused(world)
      await new Promise<void>((resolve) => socket.send("anybody?", port, server.address, sent(client, "it", resolve)))
      await sleep(30)
    }),
    row("what needs a port, before there is one", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      attempt(client, "address", () => socket.address())
      attempt(client, "setTTL", () => socket.setTTL(5))
      attempt(client, "setBroadcast", () => socket.setBroadcast(true))
      attempt(client, "setMulticastTTL", () => socket.setMulticastTTL(5))
      attempt(client, "setMulticastLoopback", () => socket.setMulticastLoopback(true))
      attempt(client, "setMulticastInterface", () => socket.setMulticastInterface("0.0.0.0"))
      attempt(client, "getRecvBufferSize", () => socket.getRecvBufferSize())
      attempt(client, "setSendBufferSize", () => socket.setSendBufferSize(9000))
      attempt(client, "getSendQueueSize", () => socket.getSendQueueSize())
      attempt(client, "getSendQueueCount", () => socket.getSendQueueCount())
    }),
    row("settings, and what they refuse", async (world) => {
      const { client } = world
      const socket = await bound(world, client)
      attempt(client, "setTTL 7", () => socket.setTTL(7))
      attempt(client, "setTTL 0", () => socket.setTTL(0))
      attempt(client, "setTTL 256", () => socket.setTTL(256))
      attempt(client, "setTTL x", () => Reflect.apply(socket.setTTL, socket, ["x"]))
      attempt(client, "setMulticastTTL 3", () => socket.setMulticastTTL(3))
      attempt(client, "setMulticastTTL 256", () => socket.setMulticastTTL(256))
      attempt(client, "setMulticastLoopback", () => socket.setMulticastLoopback(false))
      attempt(client, "setMulticastInterface", () => socket.setMulticastInterface(client.address))
      attempt(client, "setMulticastInterface x", () => socket.setMulticastInterface("x"))
      attempt(client, "setMulticastInterface 192.0.2.1", () => socket.setMulticastInterface("192.0.2.1"))
      attempt(client, "setMulticastInterface 3", () => Reflect.apply(socket.setMulticastInterface, socket, [3]))
      attempt(client, "setRecvBufferSize", () => socket.setRecvBufferSize(9000))
      attempt(client, "setRecvBufferSize -1", () => socket.setRecvBufferSize(-1))
      attempt(client, "ref and unref", () => socket.unref().ref() === socket)
    }),
    row("`setMulticastTTL(0)`", async (world) => {
      const socket = await bound(world, world.client)
      attempt(world.client, "setMulticastTTL 0", () => socket.setMulticastTTL(0))
    }, "strata sends nothing that would die at once"),
    row("the size of buffers", async (world) => {
      const socket = await bound(world, world.client, { recvBufferSize: 8192 })
      world.client.log(socket.getRecvBufferSize())
      socket.setSendBufferSize(16_384)
      world.client.log(socket.getSendBufferSize())
    }, "Linux doubles what it is told"),
    row("multicast: what joining and leaving refuse", async (world) => {
      const { client } = world
      const socket = await bound(world, client)
      attempt(client, "no group", () => Reflect.apply(socket.addMembership, socket, []))
      attempt(client, "not a group", () => socket.addMembership("10.1.2.3", client.address))
      attempt(client, "not an address", () => socket.addMembership("x"))
      attempt(client, "join", () => socket.addMembership("239.1.1.1", client.address))
      attempt(client, "join again", () => socket.addMembership("239.1.1.1", client.address))
      attempt(client, "leave", () => socket.dropMembership("239.1.1.1", client.address))
      attempt(client, "leave again", () => socket.dropMembership("239.1.1.1", client.address))
      const source = "192.0.2.9"
      attempt(client, "join a source", () => socket.addSourceSpecificMembership(source, "232.1.1.1", client.address))
      attempt(client, "leave it", () => socket.dropSourceSpecificMembership(source, "232.1.1.1", client.address))
      attempt(client, "again", () => socket.dropSourceSpecificMembership(source, "232.1.1.1", client.address))
    }),
    row("joining a group binds a socket, so that it cannot be bound any more", async (world) => {
      const { client } = world
      const socket = watched(world, client)
      attempt(client, "join", () => socket.addMembership("239.1.1.1", client.address))
      client.log(socket.address().address, socket.address().port > 0)
      socket.bind(0)
      await once(socket, "error")
    }),
    row("a group on one's own host", async (world) => {
      const { client } = world
      const member = watched(world, client)
      member.bind(0)
      await once(member, "listening")
      const { port } = member.address()
      member.addMembership("239.1.1.2", client.address)
      const sender = await bound(world, client)
      sender.setMulticastInterface(client.address)
      const arrived = once(member, "message")
      sender.send("to the group", port, "239.1.1.2")
      client.log("message", await arrived)
    }),
    row("close twice, and everything after close", async (world) => {
      const { client } = world
      const socket = await bound(world, client)
      socket.close()
      attempt(client, "close", () => socket.close())
      attempt(client, "bind", () => socket.bind())
      attempt(client, "address", () => socket.address())
      attempt(client, "ref", () => socket.ref() === socket)
      attempt(client, "unref", () => socket.unref() === socket)
      await once(socket, "close")
    }),
    row("`setTTL` after close", async (world) => {
      const socket = await bound(world, world.client)
      socket.close()
      attempt(world.client, "setTTL", () => socket.setTTL(3))
    }, "Node does not check, and stumbles"),
    row("close while a bind is under way", async (world) => {
      const socket = watched(world, world.client)
      socket.bind(0)
      socket.close()
      await once(socket, "close")
      await sleep(10)
    }),
    row("close behind a send that waits for its port: it goes first", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const arrived = once(receiver, "message")
      const socket = watched(world, client)
      socket.connect(receiver.address().port, server.address, () => socket.send("last words"))
      await once(socket, "connect")
      socket.close()
      await arrived
    }),
    row("a datagram that arrives while its socket closes is not heard", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      receiver.once("message", () => receiver.close())
      const sender = await bound(world, client)
      const { port } = receiver.address()
      for (let index = 0; index < 3; index++) sender.send(`${index}`, port, server.address)
      await once(receiver, "close")
      await sleep(20)
    }),
    row("a listener that throws does not keep others from hearing", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      receiver.once("message", () => {
        throw new Error("from a listener")
      })
      const caught = uncaught()
      const second = new Promise<void>((resolve) =>
        receiver.on("message", (message) => {
          if (message.toString() === "two") resolve()
        })
      )
      const sender = watched(world, client)
      for (const text of ["one", "two"]) sender.send(text, receiver.address().port, server.address)
      const [error] = await Promise.all([caught, second])
      server.log("uncaught", error.message)
    }),
    row("one that is awaited after the other is not missed", async (world) => {
      const { client, server } = world
      const receiver = watched(world, server)
      receiver.bind(0, server.address)
      await once(receiver, "listening")
      const sender = watched(world, client)
      for (let index = 0; index < 5; index++) sender.send(`${index}`, receiver.address().port, server.address)
      for (let index = 0; index < 5; index++) server.log("awaited", await once(receiver, "message"))
    }),
    row("`signal` closes", async (world) => {
      const { client } = world
      const controller = new AbortController()
      const socket = watched(world, client, { signal: controller.signal })
      socket.bind()
      await once(socket, "listening")
      controller.abort()
      await once(socket, "close")
      const aborted = watched(world, client, { signal: AbortSignal.abort() })
      await once(aborted, "close")
      attempt(client, "bind", () => aborted.bind())
    }),
    row("types and options that createSocket refuses", async ({ client }) => {
      const createSocket = client.dgram.createSocket as (...all: ReadonlyArray<unknown>) => unknown
      attempt(client, "no type", () => createSocket())
      attempt(client, "type x", () => createSocket("x"))
      attempt(client, "lookup", () => createSocket({ type: "udp4", lookup: 1 }))
      attempt(client, "signal", () => createSocket({ type: "udp4", signal: 1 }))
      attempt(client, "recvBufferSize", () => createSocket({ type: "udp4", recvBufferSize: -1 }))
    }),
    row("bindSync and connectSync", async (world) => {
      const { client, server } = world
      const receiver = await bound(world, server)
      const socket = watched(world, client)
      attempt(client, "a name", () => socket.bindSync({ address: "localhost" }))
      attempt(client, "not one's own", () => socket.bindSync({ address: "192.0.2.77" }))
      attempt(client, "bindSync", () => socket.bindSync().port > 0)
      attempt(client, "connectSync", () => socket.connectSync(receiver.address().port, server.address))
      attempt(client, "connectSync", () => socket.connectSync(receiver.address().port, server.address))
      await once(socket, "connect")
    }),
    row("`await using`", async (world) => {
      const { client } = world
      await (async () => {
        await using socket = await bound(world, client)
        client.log(socket.address().address)
      })()
      client.log("behind the block")
    })
  ]
}
