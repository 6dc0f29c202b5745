/**
 * What is set about connections that are there already, and their plain face.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Connection } from "@strata/core/tcp/Tcp"
import { Distribution } from "@strata/drivers"
import * as Effect from "effect/Effect"
import { bytes, connected, inet, leftovers, NOTHING, pair, readText, RIGHT, virtually } from "../../support/tcpHosts.ts"

const text = (chunks: ReadonlyArray<Uint8Array> | undefined): string | undefined =>
  chunks && Buffer.concat(chunks).toString()

/** All of the connection's events, in their order. */
const readAll = (connection: Connection, seen: Array<string>): void => {
  const { plain } = connection
  for (let taken = plain.take(); taken !== undefined; taken = plain.take()) seen.push(text(taken)!)
  const behind = plain.behind()
  if (behind === "more") plain.whenReadable(() => readAll(connection, seen))
  else seen.push(behind === "failure" ? plain.failure().reason._tag : behind)
}

describe("settings of a connection that is there", () => {
  it(
    "turn Nagle's algorithm off, which lets go what it holds back",
    virtually(Effect.gen(function*() {
      // Acknowledgements take their time.
      const hosts = yield* pair({ left: { inbound: { latency: Distribution.constant(100) } } })
      const { client, server } = yield* connected(hosts)
      yield* client.write(bytes("first"))
      yield* client.write(bytes("second"))
      assert.strictEqual(yield* readText(server), "first")
      yield* Effect.sleep(50)
      assert.strictEqual(server.status().receiveQueue, 0)
      yield* client.configure({ nagle: false })
      yield* Effect.sleep(1)
      assert.strictEqual(server.status().receiveQueue, "second".length)
    }))
  )

  it(
    "begin and end keep-alives on a connection that is idle",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client } = yield* connected(hosts)
      const asked = Effect.map(hosts.left.counters, (counters) => counters["tcp.keepAlives"] ?? 0)
      yield* Effect.sleep(10_000)
      yield* client.configure({ keepAlive: true, keepAliveIdle: 1000, keepAliveInterval: 500 })
      yield* Effect.sleep(999)
      assert.strictEqual(yield* asked, 0)
      yield* Effect.sleep(2)
      assert.strictEqual(yield* asked, 1)
      yield* client.configure({ nagle: false })
      yield* Effect.sleep(1000)
      assert.strictEqual(yield* asked, 2, "other settings leave it alone")
      yield* client.configure({ keepAlive: false })
      yield* Effect.sleep(10_000)
      assert.strictEqual(yield* asked, 2)
    }))
  )

  it(
    "do nothing where the connection is closed",
    virtually(Effect.gen(function*() {
      const { client } = yield* connected(yield* pair())
      yield* client.abort
      yield* client.configure({ keepAlive: true, keepAliveIdle: 1000 })
      assert.strictEqual(client.controlBlock().settings.keepAlive, false)
    }))
  )
})

describe("the plain face of a connection", () => {
  it(
    "reads as things arrive, and sees the end once",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      const seen: Array<string> = []
      readAll(server, seen)
      yield* client.write(bytes("one"))
      yield* Effect.sleep(1)
      yield* client.write(bytes("two"))
      yield* client.closeWrite
      yield* Effect.sleep(1)
      assert.deepStrictEqual(seen, ["one", "two", "end"])
    }))
  )

  it(
    "tells why a connection failed, behind what had arrived",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      yield* client.write(bytes("last words"))
      yield* Effect.sleep(1)
      yield* client.abort
      yield* Effect.sleep(1)
      const seen: Array<string> = []
      readAll(server, seen)
      assert.deepStrictEqual(seen, ["last words", "ConnectionReset"])
    }))
  )

  it(
    "writes several chunks at once, and says when there was room for all",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const { plain } = client
      const settled: Array<unknown> = []
      assert.isTrue(plain.write([bytes("a"), bytes("b")], () => settled.push("at once")))
      const large = new Uint8Array(5000).fill(120)
      assert.isFalse(plain.write([large, bytes("c"), large], (error) => settled.push(error)))
      assert.deepStrictEqual(settled, [])
      let received = ""
      while (received.length < 10_003) received += yield* readText(server)
      assert.deepStrictEqual(settled, [undefined])
      assert.strictEqual(received, `ab${"x".repeat(5000)}c${"x".repeat(5000)}`)
    }))
  )

  it(
    "takes at once what fits as a whole, and nothing of what does not",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const { plain } = client
      assert.isFalse(plain.offer(new Uint8Array(1001)))
      assert.strictEqual(client.status().sendQueue, 0)
      assert.isTrue(plain.offer(bytes("one")))
      assert.isFalse(plain.write([new Uint8Array(5000).fill(120)], () => {}))
      assert.isFalse(plain.offer(bytes("two")), "others wait")
      let received = ""
      while (received.length < 5003) received += yield* readText(server)
      assert.isTrue(plain.offer(bytes("three")))
      assert.strictEqual(yield* readText(server), "three")
      assert.strictEqual(received, `one${"x".repeat(5000)}`)
      yield* client.closeWrite
      assert.isFalse(plain.offer(bytes("four")))
      yield* server.abort
      yield* Effect.sleep(1)
      assert.isFalse(plain.offer(bytes("five")))
    }))
  )

  it(
    "gives up writes that wait when the connection is reset",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair(), { client: { sendBuffer: 1000 } })
      const settled: Array<string | undefined> = []
      client.plain.write([new Uint8Array(300_000)], (error) => settled.push(error?.reason._tag))
      yield* Effect.sleep(1)
      yield* server.abort
      yield* Effect.sleep(1)
      assert.deepStrictEqual(settled, ["ConnectionReset"])
      assert.isFalse(client.plain.write([bytes("more")], (error) => settled.push(error?.reason._tag)))
      assert.deepStrictEqual(settled, ["ConnectionReset", "ConnectionReset"])
    }))
  )

  it(
    "says when a connection that is being opened is there, and when it is not to be",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { local } = yield* hosts.right.tcp.listen()
      const seen: Array<string> = []
      const open = (port: number, name: string) =>
        Effect.map(hosts.left.tcp.open({ mode: "active", foreign: inet(RIGHT, port) }), ({ plain }) => {
          plain.whenOpened(() => seen.push(`${name}: ${plain.unwritable()?.reason._tag}`))
          return plain
        })
      const good = yield* open(local.port, "good")
      yield* open(local.port + 1, "refused")
      assert.deepStrictEqual(seen, [])
      yield* Effect.sleep(10)
      assert.deepStrictEqual(seen.toSorted(), ["good: undefined", "refused: ConnectionRefused"])
      good.whenOpened(() => seen.push("again"))
      assert.strictEqual(seen.at(-1), "again")
    }))
  )

  it(
    "closes both ways, as the other face does",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair()
      const { client, listener, server } = yield* connected(hosts)
      const seen: Array<string> = []
      readAll(server, seen)
      client.plain.write([bytes("bye")], () => {})
      client.plain.closeWrite()
      yield* Effect.sleep(1)
      assert.deepStrictEqual(seen, ["bye", "end"])
      server.plain.close()
      yield* server.closed
      assert.isDefined(listener)
      const { established } = yield* leftovers(hosts.right)
      assert.strictEqual(established, NOTHING.established)
    }))
  )
})
