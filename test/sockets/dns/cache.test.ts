/**
 * What the resolver makes of answers, and for how long it keeps them.
 */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Dns } from "effect/net"
import { RCODE, reply, soa, zone } from "../../support/nameServer.ts"
import { A, always, code, first, reasonOf, test } from "../../support/resolving.ts"

describe("that there is none", () => {
  const empty = zone([{ name: "one.example", type: "TXT", ttl: 60, data: "text" }])

  test("is known for as long as the SOA record says, of a name that does not exist: for all types", [empty], {}, (
    dns,
    { logs }
  ) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(dns.resolve("nobody.example", "A")), "NotFound")
      assert.strictEqual(yield* reasonOf(dns.resolve("nobody.example", "MX")), "NotFound")
      yield* Effect.sleep("59 seconds")
      assert.strictEqual(yield* reasonOf(dns.resolve("nobody.example", "A")), "NotFound")
      assert.strictEqual(logs[0]!.length, 1)
      yield* Effect.sleep("1 second")
      assert.strictEqual(yield* reasonOf(dns.resolve("nobody.example", "A")), "NotFound")
      assert.strictEqual(logs[0]!.length, 2)
    }))

  test("is known of a type, and says nothing of others", [empty], {}, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(dns.resolve("one.example", "A")), "NotFound")
      assert.strictEqual(yield* reasonOf(dns.resolve("one.example", "A")), "NotFound")
      assert.strictEqual(logs[0]!.length, 1)
      yield* dns.resolve("one.example", "TXT")
      assert.strictEqual(logs[0]!.length, 2)
    }))

  test(
    "is not kept when no SOA record comes with it",
    [code(RCODE.nameError)],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* reasonOf(dns.resolve("nobody.example", "A"))
        yield* reasonOf(dns.resolve("nobody.example", "A"))
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test("is not kept for longer than is wanted", [empty], { cache: { maxNegativeTimeToLive: "10 seconds" } }, (
    dns,
    { logs }
  ) =>
    Effect.gen(function*() {
      for (const name of ["one.example", "nobody.example"]) {
        yield* reasonOf(dns.resolve(name, "A"))
        yield* Effect.sleep("10 seconds")
        yield* reasonOf(dns.resolve(name, "A"))
      }
      assert.strictEqual(logs[0]!.length, 4)
    }))
})

describe("the cache", () => {
  test(
    "keeps records for as long as they live",
    [always("192.0.2.1", 60)],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* A(dns, "one.example")
        yield* Effect.sleep("59 seconds")
        yield* A(dns, "ONE.example.")
        assert.strictEqual(logs[0]!.length, 1)
        yield* Effect.sleep("1 second")
        yield* A(dns, "one.example")
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test(
    "keeps nothing whose time is 0, or has the highest bit set",
    [(asked, index) => always("192.0.2.1", index === 0 ? 0 : 0x8000_0001)(asked, index)],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* Effect.forEach([1, 2, 3], () => A(dns, "one.example"))
        assert.strictEqual(logs[0]!.length, 3)
      })
  )

  test("holds to its bounds of time", [
    (asked, index) => always("192.0.2.1", asked.name[0] === "s" ? 1 : 1000)(asked, index)
  ], {
    cache: { minTimeToLive: "10 seconds", maxTimeToLive: "20 seconds" }
  }, (dns, { logs }) =>
    Effect.gen(function*() {
      for (const [name, lifetime] of [["short.example", 10], ["long.example", 20]] as const) {
        const before = logs[0]!.length
        yield* A(dns, name)
        yield* Effect.sleep(`${lifetime - 1} seconds`)
        yield* A(dns, name)
        assert.strictEqual(logs[0]!.length, before + 1)
        yield* Effect.sleep("1 second")
        yield* A(dns, name)
        assert.strictEqual(logs[0]!.length, before + 2)
      }
    }))

  test("holds no more answers than it may, and keeps those that are used", [always("192.0.2.1", 60)], {
    cache: { capacity: 2 }
  }, (dns, { logs }) =>
    Effect.gen(function*() {
      for (const name of ["a", "b", "a", "c", "a", "b"]) yield* A(dns, `${name}.example`)
      assert.deepStrictEqual(logs[0]!.map(({ name }) => name), ["a.example", "b.example", "c.example", "b.example"])
    }))

  test(
    "can be left out",
    [always("192.0.2.1", 60)],
    { cache: { capacity: 0 } },
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* A(dns, "one.example")
        yield* A(dns, "one.example")
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test("spares a server that failed for a second", [first(1, code(RCODE.serverFailure), always("192.0.2.1"))], {}, (
    dns,
    { logs }
  ) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "ServerFailure")
      assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "ServerFailure")
      assert.strictEqual(logs[0]!.length, 1)
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
    }))

  test("knows nothing of this host's own failures", [always("192.0.2.1")], { nameServers: ["198.51.100.1"] }, (
    dns,
    { count }
  ) =>
    Effect.gen(function*() {
      yield* reasonOf(A(dns, "one.example"))
      yield* reasonOf(A(dns, "one.example"))
      assert.strictEqual(yield* count("dns.queries"), 2)
    }))
})

const alias = (name: string, target: string, ttl = 60) => ({ name, type: "CNAME", ttl, data: target }) as const

const address = (name: string) => ({ name, type: "A", ttl: 60, data: "192.0.2.1" }) as const

describe("aliases", () => {
  test(
    "in one answer are followed, in whatever order they are",
    [(asked) => [reply(asked, {
      answers: [address("three.example"), alias("TWO.example", "three.Example"), alias(asked.name, "two.example", 10)]
    })]],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        // The shortest life of all of them.
        yield* Effect.sleep("10 seconds")
        yield* A(dns, "one.example")
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test(
    "are asked on where the answer ends, and live no longer than each of them",
    [(asked) => [reply(asked, {
      answers: asked.name === "one.example" ? [alias(asked.name, "two.example", 10)] : [address(asked.name)]
    })]],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        assert.deepStrictEqual(logs[0]!.map(({ name }) => name), ["one.example", "two.example"])
        yield* Effect.sleep("10 seconds")
        yield* A(dns, "one.example")
        assert.strictEqual(logs[0]!.length, 4)
      })
  )

  test(
    "are records themselves for who asks for them",
    [(asked) => [reply(asked, {
      answers: [alias(asked.name, "two.example")]
    })]],
    {},
    (dns) =>
      Effect.map(
        dns.resolve("one.example", "CNAME"),
        ([record]) => assert.strictEqual(`${record.target}`, "two.example.")
      )
  )

  test(
    "may lead to a name that does not exist, which is known then",
    [(asked) =>
      asked.name === "one.example"
        ? [reply(asked, { rcode: RCODE.nameError, answers: [alias(asked.name, "two.example")], authorities: [soa] })]
        : []],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "NotFound")
        assert.strictEqual(yield* reasonOf(A(dns, "two.example")), "NotFound")
        assert.strictEqual(logs[0]!.length, 1)
      })
  )

  test(
    "that lead in a circle are an invalid answer",
    [(asked) => [reply(asked, {
      answers: [alias(asked.name, "two.example"), alias("two.example", asked.name)]
    })]],
    {},
    (dns) => Effect.map(reasonOf(A(dns, "one.example")), (reason) => assert.strictEqual(reason, "InvalidResponse"))
  )

  test(
    "that lead on and on are an invalid answer",
    [(asked) => [reply(asked, {
      answers: [alias(asked.name, `x${asked.name}`)]
    })]],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "InvalidResponse")
        assert.strictEqual(logs[0]!.length, 17)
      })
  )

  test(
    "and referrals to other servers are no answers",
    [(asked) => [reply(asked, {
      authorities: [{ name: "example", type: "NS", ttl: 60, data: "ns.example" }]
    })], always("192.0.2.1")],
    {},
    (dns) => Effect.map(A(dns, "one.example"), (found) => assert.deepStrictEqual(found, ["192.0.2.1"]))
  )

  test(
    "and records that cannot be represented are an invalid answer, if there are no others",
    [(asked) => [reply(asked, {
      answers: [
        { name: asked.name, type: "MX", ttl: 60, data: { preference: 1, exchange: "not a host.example" } },
        ...(asked.name === "some.example"
          ? [{ name: asked.name, type: "MX", ttl: 60, data: { preference: 2, exchange: "mail.example" } } as const]
          : [])
      ]
    })]],
    {},
    (dns) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(dns.resolve("none.example", "MX")), "InvalidResponse")
        const some = yield* dns.resolve("some.example", "MX")
        assert.deepStrictEqual(some.map((record) => Dns.formatRecord(record)), ["MX 2 mail.example."])
      })
  )
})
