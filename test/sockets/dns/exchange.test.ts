/**
 * Whom the resolver asks, and what it believes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Simulation } from "@strata/simulation"
import { StrataDns, UdpSocket } from "@strata/sockets"
import { Clock, Effect, Fiber } from "effect"
import { Dns, NetAddress } from "effect/net"
import { a, answer, type Asked, RCODE, reply, type Script, zone } from "../../support/nameServer.ts"
import {
  A,
  always,
  CLIENT,
  code,
  FIRST,
  first,
  largeText,
  late,
  reasonOf,
  SECOND,
  silence,
  test,
  world
} from "../../support/resolving.ts"

const spread = (values: ReadonlyArray<number>) => new Set(values).size

describe("a question", () => {
  test(
    "has a random number, the wish for recursion, EDNS, and a random port",
    [always("192.0.2.1")],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        yield* A(dns, "two.example")
        const [one, two] = logs[0]!
        assert.deepInclude(one!, { name: "one.example", type: "A", edns: 1232, transport: "udp" })
        assert.strictEqual(Buffer.from(one!.bytes).readUInt16BE(2), 0x0100)
        assert.notStrictEqual(one!.id, two!.id)
        assert.notStrictEqual(one!.source.port, two!.source.port)
        assert.strictEqual(NetAddress.formatIp(one!.source.address), CLIENT)
      })
  )

  test(
    "has numbers and ports that a stranger cannot foresee",
    [always("192.0.2.1", 0)],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 200 }), () => A(dns, "one.example"))
        assert.isAbove(spread(logs[0]!.map(({ id }) => id)), 195)
        assert.isAbove(spread(logs[0]!.map(({ source }) => source.port)), 190)
        // Each half of the numbers is hit about as often as the other.
        assert.closeTo(logs[0]!.filter(({ id }) => id < 0x8000).length, 100, 40)
      })
  )

  test(
    "may be in mixed case, which the answer must have as well",
    [(asked) => [
      reply({ ...asked, name: asked.name.toLowerCase() }, { answers: [a(asked, "192.0.2.66")] }),
      reply(asked, { answers: [{ ...a(asked, "192.0.2.1"), name: asked.name.toLowerCase() } as never] })
    ]],
    { mixCase: true },
    (dns, { count, logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "a-rather-long-name.example"), ["192.0.2.1"])
        assert.match(logs[0]![0]!.name, /[A-Z]/)
        assert.match(logs[0]![0]!.name, /[a-z]/)
        assert.strictEqual(yield* count("dns.ignored.question"), 1)
      })
  )

  test(
    "goes out once when several ask it at once",
    [always("192.0.2.1")],
    {},
    (dns, { count, logs }) =>
      Effect.gen(function*() {
        yield* Effect.all(Array.from({ length: 10 }, () => A(dns, "one.example")), { concurrency: "unbounded" })
        assert.strictEqual(logs[0]!.length, 1)
        assert.strictEqual(yield* count("dns.questions"), 10)
        assert.strictEqual(yield* count("dns.queries"), 1)
      })
  )

  test(
    "is given up with who asks it, and its port is free again",
    [late("192.0.2.1", 500)],
    {},
    (dns, { count }) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(A(dns, "one.example"), { startImmediately: true })
        yield* Effect.sleep(100)
        yield* Fiber.interrupt(fiber)
        yield* Effect.sleep("1 minute")
        assert.strictEqual(yield* count("dns.sent"), 1)
        assert.strictEqual(yield* count("udp.dropped.noListener"), 1)
      })
  )

  test("outlives one of those who ask it", [late("192.0.2.1", 500)], {}, (dns) =>
    Effect.gen(function*() {
      const impatient = yield* Effect.forkChild(A(dns, "one.example"), { startImmediately: true })
      const patient = yield* Effect.forkChild(A(dns, "one.example"), { startImmediately: true })
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(impatient)
      assert.deepStrictEqual(yield* Fiber.join(patient), ["192.0.2.1"])
    }))
})

const right = (asked: Asked) => reply(asked, { answers: [a(asked, "192.0.2.1")] })
const spoofed = (asked: Asked) => ({ answers: [a(asked, "192.0.2.66")] })
const otherId = (asked: Asked) => reply({ ...asked, id: asked.id ^ 1 }, spoofed(asked))
const otherName = (asked: Asked) => reply(asked, { ...spoofed(asked), questions: [{ name: "two.example", type: "A" }] })
const otherType = (asked: Asked) => reply(asked, { ...spoofed(asked), questions: [{ name: asked.name, type: "TXT" }] })
const otherClass = (asked: Asked) =>
  reply(asked, { ...spoofed(asked), questions: [{ name: asked.name, type: "A", class: "CH" }] })
const noQuestion = (asked: Asked) => reply(asked, { ...spoofed(asked), questions: [] })
const twoQuestions = (asked: Asked) =>
  reply(asked, { ...spoofed(asked), questions: [{ name: asked.name, type: "A" }, { name: asked.name, type: "A" }] })
const query = (asked: Asked) => reply(asked, { ...spoofed(asked), type: "query" })
const notify = (asked: Asked) => reply(asked, { ...spoofed(asked), flags: 4 << 11 })
const cutShort = (asked: Asked) => ({ bytes: answer(asked, spoofed(asked)).subarray(0, -1) })
const elsewhere = (asked: Asked) => ({ ...reply(asked, spoofed(asked)), fromElsewhere: true })

describe("an answer", () => {
  it.effect.each(
    [
      ["number", otherId, "id"],
      ["name in the question", otherName, "question"],
      ["type in the question", otherType, "question"],
      ["class in the question", otherClass, "question"],
      ["number of questions: none", noQuestion, "question"],
      ["number of questions: two", twoQuestions, "question"],
      ["direction", query, "notResponse"],
      ["purpose", notify, "notResponse"],
      ["length", cutShort, "malformed"],
      ["source port", elsewhere, "source"]
    ] as const
  )(
    "with another %s is ignored and counted, and the right one is believed",
    ([, wrong, counter]) =>
      Simulation.run(Effect.gen(function*() {
        const { client, count, logs } = yield* world([(asked) => [wrong(asked), wrong(asked), right(asked)]])
        const records = yield* client.run(
          Effect.flatMap(Dns.Dns, (dns) => A(dns, "one.example")).pipe(
            Effect.provide(StrataDns.layerWith({ nameServers: [FIRST] }))
          )
        )
        assert.deepStrictEqual(records, ["192.0.2.1"])
        assert.strictEqual(yield* count(`dns.ignored.${counter}`), 2)
        assert.strictEqual(logs[0]!.length, 1)
      }))
  )

  test("from another host is ignored, however right it looks", [late("192.0.2.1", 200), silence], {
    nameServers: [FIRST]
  }, (dns, { count, logs, servers }) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(A(dns, "one.example"), { startImmediately: true })
      yield* Effect.sleep(100)
      const [asked] = logs[0]!
      yield* servers[1]!.run(
        Effect.flatMap(UdpSocket.bind(), (socket) => socket.send(otherId(asked!).bytes, asked!.source))
      )
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["192.0.2.1"])
      assert.strictEqual(yield* count("dns.ignored.source"), 1)
    }))

  test(
    "is found among a thousand wrong ones",
    [(asked) => [
      ...Array.from(
        { length: 1000 },
        (_, guess) => reply({ ...asked, id: (asked.id + 1 + guess) & 0xffff }, spoofed(asked))
      ),
      right(asked)
    ]],
    {},
    (dns, { count, logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        assert.strictEqual(yield* count("dns.ignored.id"), 1000)
        assert.strictEqual(logs[0]!.length, 1)
      })
  )

  test(
    "that is never right ends as no answer",
    [(asked) => [otherId(asked)]],
    { tries: 2 },
    (dns, { count }) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "Timeout")
        assert.strictEqual(yield* count("dns.ignored.id"), 2)
      })
  )

  test(
    "in other case than the question is believed",
    [(asked) => [
      reply({ ...asked, name: asked.name.toUpperCase() }, {
        answers: [a({ ...asked, name: "ONE.eXample" }, "192.0.2.1")]
      })
    ]],
    {},
    (dns) => Effect.map(A(dns, "one.example"), (found) => assert.deepStrictEqual(found, ["192.0.2.1"]))
  )

  test(
    "holds what was asked for, and nothing else",
    [(asked) => [reply(asked, {
      answers: [
        a({ ...asked, name: "two.example" }, "192.0.2.66"),
        { name: asked.name, type: "TXT", data: "text" },
        { ...a(asked, "192.0.2.66"), class: "CH" } as never,
        a(asked, "192.0.2.1"),
        a(asked, "192.0.2.1"),
        a(asked, "192.0.2.2")
      ],
      additionals: [a(asked, "192.0.2.66")]
    })]],
    {},
    (dns) => Effect.map(A(dns, "one.example"), (found) => assert.deepStrictEqual(found, ["192.0.2.1", "192.0.2.2"]))
  )
})

describe("several servers", () => {
  test("are asked in turn, with more patience in each round", [silence, silence], { timeout: "1 second", tries: 3 }, (
    dns,
    { count, logs }
  ) =>
    Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "Timeout")
      assert.strictEqual(yield* Clock.currentTimeMillis, before + 2 * (1 + 2 + 4) * 1000)
      assert.deepStrictEqual(logs.map((log) => log.length), [3, 3])
      assert.strictEqual(yield* count("dns.timeouts"), 6)
      const ids = logs.flat().map(({ id }) => id)
      assert.strictEqual(new Set(ids).size, 6)
    }))

  for (
    const [name, rcode, reason] of [
      ["fails", RCODE.serverFailure, "ServerFailure"],
      ["refuses", RCODE.refused, "Refused"],
      ["does not understand", RCODE.formatError, "InvalidResponse"],
      ["cannot do it", RCODE.notImplemented, "Unsupported"],
      ["has a code nobody knows", 11, "Unknown"]
    ] as const
  ) {
    test(
      `when one ${name}, the next is asked`,
      [code(rcode), always("192.0.2.1")],
      {},
      (dns) => Effect.map(A(dns, "one.example"), (found) => assert.deepStrictEqual(found, ["192.0.2.1"]))
    )

    test(`when each ${name}, the question fails with ${reason}, at once`, [code(rcode), code(rcode)], { edns: false }, (
      dns,
      { logs }
    ) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(dns.resolve("one.example", "A"))
        assert.deepInclude(error, { reason, method: "resolve", hostname: "one.example", recordType: "A" })
        assert.deepStrictEqual(logs.map((log) => log.length), [1, 1])
      }))
  }

  test("one that is slow costs a timeout, and is asked again", [silence, first(1, silence, always("192.0.2.1"))], {}, (
    dns,
    { logs }
  ) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
      assert.deepStrictEqual(logs.map((log) => log.length), [2, 2])
    }))

  test(
    "one that answers later than the first attempt waits is believed in a later one",
    [late("192.0.2.1", 3000)],
    {},
    (
      dns,
      { logs }
    ) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test("begin with another one each time when they rotate", [always("192.0.2.1"), always("192.0.2.2")], {
    rotate: true
  }, (
    dns
  ) =>
    Effect.gen(function*() {
      const found = yield* Effect.forEach(["a", "b", "c"], (label) => A(dns, `${label}.example`))
      assert.deepStrictEqual(found.flat(), ["192.0.2.1", "192.0.2.2", "192.0.2.1"])
    }))

  test(
    "are asked from the first on each time when they do not",
    [always("192.0.2.1"), silence],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        yield* Effect.forEach(["a", "b", "c"], (label) => A(dns, `${label}.example`))
        assert.deepStrictEqual(logs.map((log) => log.length), [3, 0])
      })
  )

  test("one where nothing listens is passed over at once", [silence, always("192.0.2.1")], {
    nameServers: [`${FIRST}:54`, SECOND]
  }, (dns, { count }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
      assert.strictEqual(yield* count("dns.timeouts"), 0)
    }))

  test(
    "where nothing listens, the question is refused",
    [silence],
    { nameServers: [`${FIRST}:54`] },
    (dns) => Effect.map(reasonOf(A(dns, "one.example")), (reason) => assert.strictEqual(reason, "Refused"))
  )

  test(
    "to which no way leads, the question is refused at once",
    [silence],
    { nameServers: ["198.51.100.1"] },
    (dns) =>
      Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "Refused")
        assert.strictEqual(yield* Clock.currentTimeMillis, before)
      })
  )

  test(
    "that are not there are waited for",
    [silence],
    { nameServers: ["10.128.0.9"] },
    (dns) =>
      Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        assert.strictEqual(yield* reasonOf(A(dns, "one.example")), "Refused")
        assert.isAbove(yield* Clock.currentTimeMillis, before + 10_000)
      })
  )
})

const oldServer = (rcode: number): Script => (asked, index) =>
  asked.edns === undefined ? always("192.0.2.1")(asked, index) : code(rcode)(asked, index)

describe("EDNS", () => {
  for (const rcode of [RCODE.formatError, RCODE.notImplemented]) {
    test(`is left out for a server that answers it with code ${rcode}, from then on`, [oldServer(rcode)], {}, (
      dns,
      { count, logs }
    ) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        yield* A(dns, "two.example")
        assert.deepStrictEqual(logs[0]!.map(({ edns }) => edns), [1232, undefined, undefined])
        assert.strictEqual(yield* count("dns.withoutEdns"), 1)
      }))
  }

  test(
    "is left out for a server that does not even repeat the question",
    [(asked, index) =>
      asked.edns === undefined
        ? always("192.0.2.1")(asked, index)
        : [reply(asked, { rcode: RCODE.formatError, questions: [] })]],
    {},
    (dns, { logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* A(dns, "one.example"), ["192.0.2.1"])
        assert.strictEqual(logs[0]!.length, 2)
      })
  )

  test(
    "is kept for a server that dislikes the question itself",
    [(asked, index) =>
      asked.name === "bad.example" ? code(RCODE.formatError)(asked, index) : always("192.0.2.1")(asked, index)],
    {},
    (
      dns,
      { logs }
    ) =>
      Effect.gen(function*() {
        yield* reasonOf(A(dns, "bad.example"))
        yield* A(dns, "one.example")
        assert.deepStrictEqual(logs[0]!.map(({ edns }) => edns), [1232, undefined, 1232])
      })
  )

  test(
    "adds its bits to the code of an answer",
    [(asked) => [reply(asked, {
      answers: [a(asked, "192.0.2.66")],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 512,
          extendedRcode: 2,
          ednsVersion: 0,
          flags: 0,
          options: []
        } as never
      ]
    })]],
    {},
    (dns) => Effect.map(reasonOf(A(dns, "one.example")), (reason) => assert.strictEqual(reason, "Unknown"))
  )
})

describe("truncation", () => {
  const strings = Array.from({ length: 40 }, (_, index) => `${index}:`.padEnd(200, "x"))
  const large = zone([{ name: "large.example", type: "TXT", ttl: 60, data: strings }])
  test(
    "leads to TCP, and what was cut off is not looked at",
    [large],
    {},
    (dns, { count, logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* largeText(dns), strings)
        assert.deepStrictEqual(logs[0]!.map(({ transport }) => transport), ["udp", "tcp"])
        assert.strictEqual(yield* count("dns.truncated"), 1)
      })
  )

  test("need not come first", [large], { tcp: true }, (dns, { logs }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* largeText(dns), strings)
      assert.deepStrictEqual(logs[0]!.map(({ transport }) => transport), ["tcp"])
    }))

  test(
    "is survived by TCP's answer only if that is right",
    [(asked, index) =>
      asked.transport === "udp"
        ? [reply(asked, { truncated: true })]
        : [reply({ ...asked, id: asked.id ^ 1 }), ...large(asked, index)]],
    {},
    (dns, { count }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* largeText(dns), strings)
        assert.strictEqual(yield* count("dns.ignored.id"), 1)
      })
  )

  test(
    "fails the server whose TCP talks nonsense",
    [
      (asked) => asked.transport === "udp" ? [reply(asked, { truncated: true })] : [{ bytes: Uint8Array.of(1, 2, 3) }],
      large
    ],
    {},
    (dns, { count }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* largeText(dns), strings)
        assert.strictEqual(yield* count("dns.ignored.malformed"), 1)
        assert.strictEqual(yield* count("dns.timeouts"), 0)
      })
  )

  test(
    "leads to the next server when the connection is closed without an answer, or halfway through it",
    [
      (asked, index) =>
        asked.transport === "udp"
          ? [reply(asked, { truncated: true })]
          : [{ bytes: large(asked, index)[0]!.bytes, closesAfter: 1000 }],
      (asked) => [{ ...reply(asked), closesAfter: 0 }],
      large
    ],
    { nameServers: [FIRST, SECOND, "10.128.0.4"] },
    (dns, { count, logs }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* largeText(dns), strings)
        assert.deepStrictEqual(logs.map((log) => log.length), [2, 1, 1])
        assert.strictEqual(yield* count("dns.timeouts"), 0)
      })
  )

  test(
    "times out when the connection stays silent",
    [(asked) => asked.transport === "udp" ? [reply(asked, { truncated: true })] : []],
    { tries: 2 },
    (dns) => Effect.map(reasonOf(largeText(dns)), (reason) => assert.strictEqual(reason, "Timeout"))
  )
})
