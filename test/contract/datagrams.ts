/**
 * The contract of `DatagramSocket`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type { Datagram, DatagramSocketError, Reader, Writer } from "effect/socket/DatagramSocket"
import assert from "node:assert/strict"
import { patterned } from "../support/transfer.ts"
import { type Case, type DatagramOptions, Ends, type Toward } from "./Ends.ts"

const decoder = new TextDecoder()
const texts = (datagrams: ReadonlyArray<Datagram>) => datagrams.map(({ payload }) => decoder.decode(payload))

const address = (host: string, port: number) => NetAddress.inetAddressFromIpStringUnsafe(host, port)

const open = (from: "client" | "server", options: DatagramOptions & Toward = {}) =>
  Effect.gen(function*() {
    const socket = yield* (yield* Ends)[from].datagrams(options)
    const reader = yield* socket.reader
    const writer = yield* socket.writer
    return { reader, writer, port: reader.address.port }
  })

/** Takes datagrams until there are that many. */
const take = Effect.fnUntraced(function*(reader: Reader, count: number) {
  const all: Array<Datagram> = []
  while (all.length < count) all.push(...(yield* reader.pull))
  return all
})

/** A server on the address of the server's host. */
const server = (options: DatagramOptions = {}) =>
  Effect.gen(function*() {
    const { host } = (yield* Ends).server
    return { host, ...(yield* open("server", { bind: { address: host }, ...options })) }
  })

const writeError = Effect.fnUntraced(function*(write: ReturnType<Writer["write"]>) {
  const { reason } = yield* Effect.flip(write)
  assert.equal(reason._tag, "DatagramSocketWriteError")
  return reason as Extract<typeof reason, { _tag: "DatagramSocketWriteError" }>
})

const openError = Effect.fnUntraced(function*(options: DatagramOptions & Toward) {
  const { reason } = yield* Effect.flip(Effect.scoped(open("server", options)))
  assert.equal(reason._tag, "DatagramSocketOpenError")
  return (reason as Extract<typeof reason, { _tag: "DatagramSocketOpenError" }>).kind
})

const until = Effect.fnUntraced(function*(holds: () => boolean) {
  while (!holds()) yield* Effect.sleep(5)
})

const ip = (text: string) => NetAddress.ipFromStringUnsafe(text) as NetAddress.Ipv4Address

/** A socket on all addresses of the server, and one of the client that talks to it by a group. */
const grouped = Effect.gen(function*() {
  const ends = yield* Ends
  const group = ip("239.255.7.7") as NetAddress.MulticastAddress<NetAddress.Ipv4Address>
  const { port, reader } = yield* open("server")
  const { writer } = yield* open("client", { multicast: { interface: ip(ends.client.host), loopback: true } })
  return {
    say: (payload: string) => writer.write({ payload, address: NetAddress.inetAddressUnsafe(group, port) }),
    sayToOne: (payload: string) => writer.write({ payload, address: address(ends.server.host, port) }),
    reader,
    place: { group, interface: ip(ends.server.host) },
    client: ip(ends.client.host)
  }
})

const tests: Record<string, Case["program"]> = {
  "a datagram is answered": Effect.gen(function*() {
    const there = yield* server()
    const here = yield* open("client")
    yield* here.writer.write({ payload: "hello", address: address(there.host, there.port) })
    const [received] = yield* take(there.reader, 1)
    assert.deepEqual(texts([received!]), ["hello"])
    assert.equal(received!.address.port, here.port)
    assert.equal(NetAddress.formatIp(received!.address.address), (yield* Ends).client.host)
    yield* there.writer.write({ payload: "hello back", address: received })
    yield* there.writer.write(received!)
    const back = yield* take(here.reader, 2)
    assert.deepEqual(texts(back), ["hello back", "hello"])
    assert.equal(NetAddress.formatInet(back[0]!.address), `${there.host}:${there.port}`)
  }),

  "datagrams of all sizes arrive whole, and larger ones are refused": Effect.gen(function*() {
    const there = yield* server()
    const { writer } = yield* open("client", { peer: { address: there.host, port: there.port } })
    for (const length of [0, 1, 1472, 1473, 9000, 65_507]) {
      const payload = patterned(length, length)
      yield* writer.write({ payload })
      const [received] = yield* take(there.reader, 1)
      assert.deepEqual(Buffer.from(received!.payload), Buffer.from(payload))
    }
    const error = yield* writeError(writer.write({ payload: new Uint8Array(65_508) }))
    assert.equal(error.kind, "MessageTooLarge")
    assert.equal(NetAddress.formatInet(error.address!), `${there.host}:${there.port}`)
  }),

  "many are written at once": Effect.gen(function*() {
    const there = yield* server()
    const { writer } = yield* open("client", { peer: { address: there.host, port: there.port } })
    yield* writer.writeAll([{ payload: "a" }, { payload: "b" }, { payload: "c" }])
    assert.deepEqual(texts(yield* take(there.reader, 3)).toSorted(), ["a", "b", "c"])
    const { reason } = yield* Effect.flip(writer.writeAll([{ payload: "d" }, { payload: new Uint8Array(70_000) }]))
    assert.equal(reason._tag === "DatagramSocketWriteError" && reason.kind, "MessageTooLarge")
  }),

  "a connected socket hears nobody but its peer": Effect.gen(function*() {
    const there = yield* server()
    const stranger = yield* open("server")
    const here = yield* open("client", { connect: { address: there.host, port: there.port } })
    const to = address((yield* Ends).client.host, here.port)
    yield* stranger.writer.write({ payload: "psst", address: to })
    yield* there.writer.write({ payload: "official", address: to })
    assert.deepEqual(texts(yield* take(here.reader, 1)), ["official"])
    yield* here.writer.write({ payload: "received" })
    assert.deepEqual(texts(yield* take(there.reader, 1)), ["received"])
    assert.equal((yield* writeError(here.writer.write({ payload: "elsewhere", address: to }))).kind, "Unknown")
  }),

  "a socket with a peer hears everybody": Effect.gen(function*() {
    const there = yield* server()
    const stranger = yield* open("server")
    const here = yield* open("client", { peer: { address: there.host, port: there.port } })
    yield* stranger.writer.write({ payload: "psst", address: address((yield* Ends).client.host, here.port) })
    assert.deepEqual(texts(yield* take(here.reader, 1)), ["psst"])
  }),

  "a connected socket is told that nobody listens": Effect.gen(function*() {
    const errors: Array<DatagramSocketError> = []
    const { host, port } = yield* Effect.scoped(server())
    const { writer } = yield* open("client", {
      connect: { address: host, port },
      onError: (error) => errors.push(error)
    })
    const knock = writer.write({ payload: "anybody?" }).pipe(
      Effect.catch((error) => Effect.sync(() => errors.push(error))),
      Effect.andThen(Effect.sleep(20))
    )
    yield* Effect.whileLoop({ while: () => errors.length === 0, body: () => knock, step: () => {} })
    const { reason } = errors[0]!
    assert.ok(reason._tag === "DatagramSocketReadError" || reason._tag === "DatagramSocketWriteError")
    assert.equal((reason as { readonly kind: string }).kind, "ConnectionRefused")
  }),

  "a datagram without a destination goes nowhere": Effect.gen(function*() {
    const { writer } = yield* open("client")
    assert.equal((yield* writeError(writer.write({ payload: "?" }))).kind, "Unknown")
  }),

  "there is no way to everywhere": Effect.gen(function*() {
    const { unroutable } = yield* Ends
    if (unroutable === undefined) return
    const { writer } = yield* open("client")
    const error = yield* writeError(writer.write({ payload: "hello", address: address(unroutable, 9) }))
    assert.equal(error.kind, "Unreachable")
  }),

  "who may broadcast has said so": Effect.gen(function*() {
    const { broadcast } = yield* Ends
    const to = address(broadcast, 9)
    const plain = yield* open("client")
    assert.equal((yield* writeError(plain.writer.write({ payload: "all", address: to }))).kind, "PermissionDenied")
    const permitted = yield* open("client", { broadcast: true })
    yield* permitted.writer.write({ payload: "all", address: to })
  }),

  "a port is taken once, unless it is shared": Effect.gen(function*() {
    const { host, port } = yield* server({ reuseAddress: true })
    assert.equal(yield* openError({ bind: { address: host, port } }), "AddressInUse")
    assert.equal((yield* server({ bind: { address: host, port }, reuseAddress: true })).port, port)
  }),

  "nobody has an address of somebody else": Effect.gen(function*() {
    assert.equal(yield* openError({ bind: { address: "198.51.100.9" } }), "AddressNotAvailable")
  }),

  "a full buffer drops the newest": Effect.gen(function*() {
    const there = yield* server({ receiveBuffer: { capacity: 2 } })
    const { writer } = yield* open("client", { peer: { address: there.host, port: there.port } })
    for (const payload of ["1", "2", "3", "4", "5"]) yield* writer.write({ payload })
    yield* until(() => there.reader.dropped() === 3)
    assert.deepEqual(texts(yield* there.reader.pull), ["1", "2"])
  }),

  "a full buffer slides": Effect.gen(function*() {
    const there = yield* server({ receiveBuffer: { capacity: 2, strategy: "sliding" } })
    const { writer } = yield* open("client", { peer: { address: there.host, port: there.port } })
    for (const payload of ["1", "2", "3", "4", "5"]) yield* writer.write({ payload })
    yield* until(() => there.reader.dropped() === 3)
    assert.deepEqual(texts(yield* there.reader.pull), ["4", "5"])
  }),

  "there is one reader at a time": Effect.gen(function*() {
    const socket = yield* (yield* Ends).server.datagrams({ bind: { address: (yield* Ends).server.host } })
    const scope = yield* Scope.make()
    yield* Scope.provide(socket.reader, scope)
    const second = yield* Effect.forkScoped(socket.reader, { startImmediately: true })
    yield* Effect.sleep(20)
    assert.equal(second.pollUnsafe(), undefined)
    yield* Scope.close(scope, Exit.void)
    assert.ok((yield* Fiber.join(second)).address.port > 0)
  }),

  "the same port can be bound by one reader after the other": Effect.gen(function*() {
    const { host, port } = yield* Effect.scoped(server())
    const socket = yield* (yield* Ends).server.datagrams({ bind: { address: host, port } })
    const first = yield* Scope.make()
    assert.equal((yield* Scope.provide(socket.reader, first)).address.port, port)
    const next = yield* Effect.forkScoped(socket.reader, { startImmediately: true })
    yield* Scope.close(first, Exit.void)
    assert.equal((yield* Fiber.join(next)).address.port, port)
  }),

  "the end of the reader's scope fails a pull that waits": Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { reader } = yield* Scope.provide(server(), scope)
    const waiting = yield* Effect.forkChild(Effect.flip(reader.pull), { startImmediately: true })
    yield* Scope.close(scope, Exit.void)
    assert.equal((yield* Fiber.join(waiting)).reason._tag, "DatagramSocketClosedError")
  }),

  "a write waits for the reader": Effect.gen(function*() {
    const there = yield* server()
    const socket = yield* (yield* Ends).client.datagrams({ peer: { address: there.host, port: there.port } })
    const { write } = yield* socket.writer
    const writing = yield* Effect.forkChild(write({ payload: "early" }), { startImmediately: true })
    yield* socket.reader
    yield* Fiber.join(writing)
    assert.deepEqual(texts(yield* take(there.reader, 1)), ["early"])
  }),

  "a group is heard from joining it to leaving it": Effect.gen(function*() {
    const { place, reader, say, sayToOne } = yield* grouped
    yield* Effect.scoped(Effect.gen(function*() {
      yield* reader.joinMulticast(place)
      yield* say("to all of you")
      assert.deepEqual(texts(yield* take(reader, 1)), ["to all of you"])
      const { reason } = yield* Effect.flip(reader.joinMulticast(place))
      assert.equal(reason._tag === "DatagramSocketOpenError" && reason.kind, "AddressInUse")
    }))
    yield* say("to the others")
    yield* sayToOne("to you")
    assert.deepEqual(texts(yield* take(reader, 1)), ["to you"])
  }),

  "a group is heard from one source": Effect.gen(function*() {
    const { client, place, reader, say, sayToOne } = yield* grouped
    yield* reader.joinMulticast({ ...place, source: ip("198.51.100.7") })
    yield* say("from somebody else")
    yield* sayToOne("to you")
    assert.deepEqual(texts(yield* take(reader, 1)), ["to you"])
    yield* reader.joinMulticast({ ...place, source: client })
    yield* say("from me")
    assert.deepEqual(texts(yield* take(reader, 1)), ["from me"])
  }),

  "the address is the one that was bound": Effect.gen(function*() {
    const { host, reader } = yield* server()
    assert.equal(NetAddress.formatIp(reader.address.address), host)
    assert.ok(reader.address.port > 0)
  })
}

export const datagrams: ReadonlyArray<Case> = Object.entries(tests).map(([name, program]) => ({ name, program }))
