/**
 * The service: what programs ask, and what they get.
 */
import { NodeAddressResolver, NodeDns } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Simulation } from "@strata/simulation"
import { StrataAddressResolver, StrataDns, UdpSocket } from "@strata/sockets"
import { Config, Effect, Exit, Fiber, Scope } from "effect"
import { Dns } from "effect/net"
import { RCODE, type Script, serve, zone } from "../../support/nameServer.ts"
import { A, always, code, FIRST, formatted, reasonOf, SECOND, silence, test, world } from "../../support/resolving.ts"

const onlyFor = (type: string, script: Script, others: Script): Script => (asked, index) =>
  (asked.type === type ? script : others)(asked, index)

describe("lookup", () => {
  const both = zone([
    { name: "both.example", type: "A", ttl: 60, data: "192.0.2.1" },
    { name: "both.example", type: "AAAA", ttl: 60, data: "2001:db8::1" },
    { name: "six.example", type: "AAAA", ttl: 60, data: "2001:db8::6" }
  ])

  test("finds addresses of both families, those of IPv4 first", [both], {}, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(formatted(yield* dns.lookup("both.example")), ["192.0.2.1", "2001:db8::1"])
      assert.deepStrictEqual(formatted(yield* dns.lookup("six.example")), ["2001:db8::6"])
      assert.deepStrictEqual(logs[0]!.slice(0, 2).map(({ type }) => type).toSorted(), ["A", "AAAA"])
    }))

  test("asks for the family that is wanted", [both], {}, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(formatted(yield* dns.lookup("both.example", { family: "IPv6" })), ["2001:db8::1"])
      assert.strictEqual(yield* reasonOf(dns.lookup("six.example", { family: "IPv4" })), "NotFound")
      assert.deepStrictEqual(logs[0]!.map(({ type }) => type), ["AAAA", "A"])
    }))

  test(
    "does without IPv6 addresses when asking for them fails",
    [onlyFor("AAAA", code(RCODE.serverFailure), both)],
    {},
    (
      dns
    ) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(formatted(yield* dns.lookup("both.example")), ["192.0.2.1"])
        assert.strictEqual(yield* reasonOf(dns.lookup("six.example")), "ServerFailure")
      })
  )

  test(
    "does not do without those of IPv4",
    [onlyFor("A", code(RCODE.serverFailure), both)],
    {},
    (dns) =>
      Effect.map(Effect.flip(dns.lookup("both.example")), (error) => {
        assert.deepInclude(error, { reason: "ServerFailure", method: "lookup", hostname: "both.example" })
        assert.isTrue(error.isTemporary)
      })
  )

  test("looks into the hosts table first, which resolve does not", [silence], {
    hosts: { "Printer": ["192.0.2.7"], "both.example": ["192.0.2.8", "2001:db8::8"] },
    tries: 1
  }, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(formatted(yield* dns.lookup("printer")), ["192.0.2.7"])
      assert.deepStrictEqual(formatted(yield* dns.lookup("printer.")), ["192.0.2.7"])
      assert.deepStrictEqual(formatted(yield* dns.lookup("both.example")), ["192.0.2.8", "2001:db8::8"])
      assert.strictEqual(yield* reasonOf(dns.lookup("printer", { family: "IPv6" })), "NotFound")
      assert.deepStrictEqual(yield* dns.reverse("192.0.2.7"), ["printer." as never])
      assert.strictEqual(logs[0]!.length, 0)
      assert.strictEqual(yield* reasonOf(dns.resolve("printer", "A")), "Timeout")
    }))

  test("knows this host, and what does not exist, without asking", [always("192.0.2.66")], { search: ["example"] }, (
    dns,
    { logs }
  ) =>
    Effect.gen(function*() {
      for (const name of ["localhost", "LOCALHOST.", "app.localhost"]) {
        assert.deepStrictEqual(formatted(yield* dns.lookup(name)), ["127.0.0.1", "::1"])
        assert.deepStrictEqual(formatted(yield* dns.lookup(name, { family: "IPv4" })), ["127.0.0.1"])
        assert.strictEqual(yield* reasonOf(dns.resolve(name, "MX")), "NotFound")
      }
      for (const address of ["127.0.0.1", "127.1.2.3", "::1"]) {
        assert.deepStrictEqual(yield* dns.reverse(address), ["localhost." as never])
      }
      for (const name of ["invalid", "x.invalid.", "abc.onion"]) {
        assert.strictEqual(yield* reasonOf(dns.lookup(name)), "NotFound")
      }
      assert.strictEqual(logs[0]!.length, 0)
      assert.deepStrictEqual(yield* A(dns, "notlocalhost"), ["192.0.2.66"])
    }))

  test("refuses what is no name", [always("192.0.2.66")], {}, (dns, { logs }) =>
    Effect.gen(function*() {
      for (const name of ["", "a..b", "192.0.2.1", "a b", `${"x".repeat(64)}.example`]) {
        assert.strictEqual(yield* reasonOf(dns.lookup(name)), "BadName")
        assert.strictEqual(yield* reasonOf(dns.resolve(name, "A")), "BadName")
      }
      assert.strictEqual(yield* reasonOf(dns.reverse("one.example")), "BadName")
      assert.strictEqual(logs[0]!.length, 0)
    }))
})

describe("reverse", () => {
  const names = zone([
    { name: "1.2.0.192.in-addr.arpa", type: "PTR", ttl: 60, data: "one.example" },
    { name: "2.2.0.192.in-addr.arpa", type: "PTR", ttl: 60, data: "not a host" }
  ])
  test("finds the names of an address", [names], { search: ["example"] }, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* dns.reverse("192.0.2.1"), ["one.example." as never])
      const error = yield* Effect.flip(dns.reverse("2001:db8::1"))
      assert.deepInclude(error, { reason: "NotFound", method: "reverse", hostname: "2001:db8::1" })
      assert.match(logs[0]![1]!.name, /^1\.0\..*\.8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa$/)
      assert.strictEqual(logs[0]!.length, 2)
    }))
  test(
    "has no use for names that no host can have",
    [names],
    {},
    (dns) => Effect.map(reasonOf(dns.reverse("192.0.2.2")), (reason) => assert.strictEqual(reason, "InvalidResponse"))
  )
  test(
    "fails as its question does",
    [code(RCODE.refused)],
    {},
    (dns) =>
      Effect.map(
        Effect.flip(dns.reverse("192.0.2.1")),
        (error) => assert.deepInclude(error, { reason: "Refused", method: "reverse", hostname: "192.0.2.1" })
      )
  )
})

describe("the search list", () => {
  const known = zone(
    ["one.a.example", "two.b.example", "x.one.example", "x.one.a.example"]
      .map((name) => ({ name, type: "A", ttl: 60, data: "192.0.2.1" }) as const)
  )
  const search = ["a.example", "b.example"]
  const asks = (
    title: string,
    name: string,
    options: StrataDns.Options,
    names: ReadonlyArray<string>,
    script: Script = known
  ) =>
    test(title, [script], options, (dns, { logs }) =>
      Effect.gen(function*() {
        yield* Effect.exit(dns.resolve(name, "A"))
        assert.deepStrictEqual(logs[0]!.map((asked) => asked.name), [...names])
      }))
  asks("is tried in order", "two", { search }, ["two.a.example", "two.b.example"])
  asks("ends with the first that is found", "one", { search }, ["one.a.example"])
  asks("ends with the name itself", "three", { search }, ["three.a.example", "three.b.example", "three"])
  asks("comes after names with dots", "one.a", { search: ["example"] }, ["one.a", "one.a.example"])
  asks("comes before them as ndots says", "x.one", { search, ndots: 2 }, ["x.one.a.example"])
  asks("is not for absolute names", "two.", { search }, ["two"])
  asks("ends when a server fails, since the result would vary", "two", { search }, ["two.a.example"], code(2))
})

const failure = (options: StrataDns.Options) =>
  Simulation.run(Effect.gen(function*() {
    const { client } = yield* world([])
    return yield* client.run(Effect.flip(Effect.provide(Dns.Dns, StrataDns.layerWith(options))))
  }))

describe("options", () => {
  it("and all else of NodeDns are there by the same names", () => {
    const options: NodeDns.Options = { nameServers: ["192.0.2.1"], timeout: "1 second", tries: 2 }
    const taken: StrataDns.Options = options
    assert.strictEqual(taken, options)
    assert.containsAllKeys(StrataDns, Object.keys(NodeDns))
    assert.containsAllKeys(StrataAddressResolver, Object.keys(NodeAddressResolver))
  })

  it.effect.each(
    [
      ["a name server that is no address", { nameServers: ["ns.example"] }],
      ["a name server that only IPv6 reaches", { nameServers: ["2001:db8::53"] }],
      ["a domain that is no name", { search: ["a..b"] }],
      ["a host that is no name", { hosts: { "a b": ["192.0.2.1"] } }],
      ["an address of a host that is none", { hosts: { a: ["192.0.2.256"] } }]
    ] as const
  )(
    "refuse %s",
    ([, options]) => Effect.map(failure(options), (error) => assert.strictEqual(error._tag, "NetAddressError"))
  )

  it.effect("are read from a configuration, and from resolv.conf", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, logs } = yield* world([silence, always("192.0.2.1")])
      const conf = StrataDns.fromResolvConf(`nameserver ${SECOND}\nsearch example\noptions ndots:3`)
      const ask = Effect.flatMap(Dns.Dns, (dns) => A(dns, "one.two"))
      const configured = StrataDns.layerConfig({
        nameServers: Config.succeed(conf.nameServers),
        search: Config.succeed(conf.search),
        ndots: Config.Int("NDOTS").pipe(Config.withDefault(3))
      })
      yield* client.run(Effect.provide(ask, StrataDns.layerWith(conf)))
      yield* client.run(Effect.provide(ask, configured))
      assert.deepStrictEqual(logs[1]!.map(({ name }) => name), ["one.two.example", "one.two.example"])
    })))

  it.effect("need not be given: then this host is asked", () =>
    Simulation.run(Effect.gen(function*() {
      const { client } = yield* world([])
      yield* client.fork(serve(always("192.0.2.1")))
      const ask = Effect.flatMap(Dns.Dns, (dns) => A(dns, "one.example"))
      assert.deepStrictEqual(yield* client.run(Effect.provide(ask, StrataDns.layer)), ["192.0.2.1"])
    })))
})

describe("the end", () => {
  it.effect("of the resolver's scope ends what it is asked", () =>
    Simulation.run(Effect.gen(function*() {
      const { client, count } = yield* world([silence])
      const scope = yield* Scope.make()
      const dns = yield* client.run(Scope.provide(StrataDns.make({ nameServers: [FIRST] }), scope))
      const question = yield* Effect.forkChild(reasonOf(A(dns, "one.example")), { startImmediately: true })
      yield* Effect.sleep(100)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(question), "Unknown")
      yield* Effect.sleep("1 minute")
      assert.strictEqual(yield* count("dns.sent"), 1)
    })))

  it.effect("of ports is a lack that may pass", () =>
    Simulation.run(Effect.gen(function*() {
      const { client } = yield* world([always("192.0.2.1")])
      const reason = yield* client.run(
        Effect.gen(function*() {
          const dns = yield* Dns.Dns
          yield* Effect.forEach(
            Array.from({ length: 16_384 }, (_, index) => 49_152 + index),
            (port) => UdpSocket.bind({ port }),
            { discard: true }
          )
          return yield* reasonOf(A(dns, "one.example"))
        }).pipe(Effect.provide(StrataDns.layerWith({ nameServers: [FIRST] })))
      )
      assert.strictEqual(reason, "Temporary")
    })))
})
