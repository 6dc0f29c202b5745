/**
 * Endpoints: names are looked up, addresses are not.
 */
import { assert, describe, it } from "@effect/vitest"
import { Simulation } from "@strata/simulation"
import { StrataAddressResolver, StrataDns, StrataSocket, TcpServer } from "@strata/sockets"
import { Effect, Layer } from "effect"
import { AddressResolver, NetAddress } from "effect/net"
import * as Socket from "effect/socket/Socket"
import { RCODE, type Script, zone } from "../../support/nameServer.ts"
import { code, FIRST, SECOND, silence, world } from "../../support/resolving.ts"

const Names = StrataAddressResolver.layer.pipe(
  Layer.provideMerge(StrataDns.layerWith({ nameServers: [FIRST], tries: 1 }))
)

const records = zone([
  { name: "both.example", type: "A", ttl: 60, data: "192.0.2.1" },
  { name: "both.example", type: "AAAA", ttl: 60, data: "2001:db8::1" },
  { name: "server.example", type: "A", ttl: 60, data: SECOND }
])

/** Endpoints as text, or the tag and the reason of why there are none. */
const resolve = (target: string, options?: AddressResolver.ResolveOptions) =>
  Effect.flatMap(AddressResolver.AddressResolver, (resolver) => resolver.resolve(target, options)).pipe(
    Effect.map((found): ReadonlyArray<string> =>
      found.map((one) => NetAddress.isInetAddress(one) ? NetAddress.formatInet(one) : "a path")
    ),
    Effect.catch((error) => Effect.succeed([error._tag === "DnsError" ? error.reason : error._tag]))
  )

const resolving = (
  script: Script,
  ...questions: ReadonlyArray<readonly [target: string, options?: AddressResolver.ResolveOptions]>
) =>
  Simulation.run(Effect.gen(function*() {
    const { client, logs } = yield* world([script])
    const found = yield* client.run(
      Effect.provide(Effect.forEach(questions, (question) => resolve(...question)), Names)
    )
    return { found, asked: logs[0]!.length }
  }))

describe("StrataAddressResolver", () => {
  it.effect("looks names up", () =>
    Effect.map(
      resolving(records, ["both.example:80"], ["both.example:80", { family: "IPv4" }]),
      ({ found }) => assert.deepStrictEqual(found, [["192.0.2.1:80", "[2001:db8::1]:80"], ["192.0.2.1:80"]])
    ))

  it.effect("takes addresses as they are, and asks nobody", () =>
    Effect.gen(function*() {
      const { asked, found } = yield* resolving(
        silence,
        ["192.0.2.1:80"],
        ["[2001:db8::1]:80"],
        ["[fe80::1%2]:80"],
        ["localhost:80", { family: "IPv4" }]
      )
      assert.deepStrictEqual(found, [["192.0.2.1:80"], ["[2001:db8::1]:80"], ["[fe80::1%2]:80"], ["127.0.0.1:80"]])
      assert.strictEqual(asked, 0)
    }))

  it.effect("fails as lookups do, and on what is no endpoint", () =>
    Effect.gen(function*() {
      const wrong = ["192.0.2.1", "a b:80", "one.example:99999", "[fe80::1%eth0]:80"] as const
      const { found } = yield* resolving(
        records,
        ["nobody.example:80"],
        ["192.0.2.1:80", { family: "IPv6" }],
        ...wrong.map((target) => [target] as const)
      )
      assert.deepStrictEqual(found, [["NotFound"], ["NetAddressError"], ...wrong.map(() => ["NetAddressError"])])
      assert.deepStrictEqual((yield* resolving(code(RCODE.serverFailure), ["one.example:80"])).found, [[
        "ServerFailure"
      ]])
      assert.deepStrictEqual((yield* resolving(silence, ["one.example:80"])).found, [["Timeout"]])
    }))

  it.effect("takes the sockets of Effect to a name", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, servers } = yield* world([records, silence])
      yield* servers[1]!.fork(
        Effect.flatMap(
          TcpServer.listen({ port: 7 }),
          (server) => TcpServer.serve(server, (peer) => peer.write("hello"))
        )
      )
      const read = Effect.gen(function*() {
        const pull = yield* Socket.readerString(yield* Socket.Socket)
        return (yield* pull).join("")
      }).pipe(Effect.scoped)
      const heard = yield* client.run(
        Effect.provide(
          read,
          StrataSocket.layerNet({ host: "server.example", port: 7 }).pipe(Layer.provideMerge(Names))
        )
      )
      assert.strictEqual(heard, "hello")
    })))
})
