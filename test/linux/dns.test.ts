/**
 * The resolver against dnsmasq, which knows a zone of its own and asks nobody.
 */
import { assert, layer } from "@effect/vitest"
import { NetworkStack, Statistics } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataAddressResolver, StrataDns } from "@strata/sockets"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AddressResolver from "effect/net/AddressResolver"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describeOffloads, KERNEL, type Offload, ON_AND_OFF, STACK } from "../support/linux.ts"
import * as LossyPath from "../support/lossyPath.ts"
import * as Namespace from "../support/namespace.ts"
import { ask, type Question } from "../support/peers/dns.ts"

const MANY = 60

const strings = Array.from({ length: 20 }, (_, index) => `${index}:`.padEnd(200, "x"))

const large = strings.map((text) => `TXT "${text}"`).toSorted()

const configuration = `
listen-address=${KERNEL}
bind-interfaces
no-resolv
no-hosts
no-poll
user=root
log-facility=-
log-queries
local-ttl=300
edns-packet-max=1232
local=/example/
host-record=one.example,192.0.2.10,2001:db8::10
cname=alias.example,one.example
mx-host=example,mail.example,10
mx-host=example,spare.example,20
srv-host=_db._tcp.example,one.example,5432,10,5
txt-record=text.example,"v=spf1 -all","second string"
${strings.map((text) => `txt-record=large.example,"${text}"`).join("\n")}
caa-record=example,0,issue,ca.example
naptr-record=sip.example,100,50,s,SIP+D2U,,_sip._udp.example
ptr-record=service.example,"printer._ipp.example"
${Array.from({ length: MANY }, (_, index) => `host-record=h${index}.example,198.51.100.${index + 1}`).join("\n")}
`

class Server
  extends Context.Service<Server, { readonly running: Namespace.Running; readonly path: LossyPath.LossyPath }>()(
    "test/Server"
  )
{}

/** dnsmasq in the kernel's namespace, gone with the scope. */
const dnsmasq = Effect.fnUntraced(function*(kernel: Namespace.Namespace) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "strata-dns-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true }))
  )
  const file = join(directory, "dnsmasq.conf")
  writeFileSync(file, configuration)
  const running = yield* kernel.spawn(
    "dnsmasq",
    "--keep-in-foreground",
    `--conf-file=${file}`,
    `--pid-file=${join(directory, "dnsmasq.pid")}`
  )
  yield* running.prints(/started, version/)
  return running
})

const Network = Layer.effect(
  Server,
  Effect.gen(function*() {
    const path = yield* LossyPath.make
    return { path, running: yield* dnsmasq(path.kernel) }
  })
)

const host = (offload: Offload) =>
  Layer.unwrap(
    Effect.map(
      Server,
      ({ path }) =>
        Tap.layer({ name: LossyPath.Port.stack, address: `${STACK}/24`, namespace: path.middle.path, offload })
    )
  ).pipe(Layer.provideMerge(NetworkStack.layer), Layer.provideMerge(Network))

/** A resolver of its own for each test, so that nothing is cached before. */
const resolving = <A, E, R>(program: Effect.Effect<A, E, R>, options: StrataDns.Options = {}) =>
  Effect.provide(
    program,
    StrataAddressResolver.layer.pipe(Layer.provideMerge(StrataDns.layerWith({ nameServers: [KERNEL], ...options }))),
    { local: true }
  )

const counted = (name: string) =>
  Effect.flatMap(Statistics, ({ snapshot }) => Effect.map(snapshot, (all) => all[name] ?? 0))

const known: ReadonlyArray<readonly [...Question, ReadonlyArray<string>]> = [
  ["one.example", "A", ["A 192.0.2.10"]],
  ["ONE.Example.", "A", ["A 192.0.2.10"]],
  ["one.example", "AAAA", ["AAAA 2001:db8::10"]],
  ["alias.example", "A", ["A 192.0.2.10"]],
  ["alias.example", "CNAME", ["CNAME one.example."]],
  ["example", "MX", ["MX 10 mail.example.", "MX 20 spare.example."]],
  ["_db._tcp.example", "SRV", ["SRV 10 5 5432 one.example."]],
  ["text.example", "TXT", [`TXT "v=spf1 -all" "second string"`]],
  ["large.example", "TXT", large],
  ["example", "CAA", [`CAA 0 issue "ca.example"`]],
  ["sip.example", "NAPTR", [`NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.example.`]],
  ["service.example", "PTR", ["PTR printer._ipp.example."]],
  ["10.2.0.192.in-addr.arpa", "PTR", ["PTR one.example."]],
  ["192.0.2.10", "reverse", ["one.example."]],
  ["nobody.example", "A", ["NotFound: Dns.resolve (nobody.example A)"]],
  ["one.example", "TXT", ["NotFound: Dns.resolve (one.example TXT)"]],
  ["elsewhere.test", "A", ["Refused: Dns.resolve (elsewhere.test A)"]],
  ["192.0.3.10", "reverse", ["Refused: Dns.reverse (192.0.3.10)"]],
  ["a..b", "A", ["BadName: Dns.resolve (a..b A)"]],
  ["nowhere", "reverse", ["BadName: Dns.reverse (nowhere)"]]
]
const questions = known.map(([name, type]): Question => [name, type])

describeOffloads("Linux, names that dnsmasq knows", ["dnsmasq", ...LossyPath.PROGRAMS], (offload) => {
  layer(host(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect.each(known)(
      "%s %s",
      ([name, type, records]) =>
        Effect.map(resolving(ask([name, type])), (found) => assert.deepStrictEqual(found, [...records]))
    )

    it.effect("says what the resolver of Node says", () =>
      Effect.gen(function*() {
        const { path } = yield* Server
        const { stdout } = yield* path.kernel.succeed(
          process.execPath,
          fileURLToPath(new URL("../support/peers/dns.ts", import.meta.url)),
          JSON.stringify({ server: KERNEL, questions })
        )
        assert.deepStrictEqual(yield* resolving(Effect.forEach(questions, ask)), JSON.parse(stdout))
      }))

    it.effect("looks up addresses, endpoints, and the names of addresses", () =>
      resolving(Effect.gen(function*() {
        const dns = yield* Dns.Dns
        const addresses = yield* dns.lookup("alias.example")
        assert.deepStrictEqual(addresses.map((one) => NetAddress.formatIp(one)), ["192.0.2.10", "2001:db8::10"])
        assert.deepStrictEqual(yield* dns.reverse("192.0.2.10"), ["one.example." as never])
        const resolver = yield* AddressResolver.AddressResolver
        const [endpoint] = yield* resolver.resolve("one.example:80", { family: "IPv4" })
        assert.strictEqual(NetAddress.formatInet(endpoint), "192.0.2.10:80")
      })))

    it.effect("tries the search list", () =>
      resolving(Effect.map(ask(["one", "A"]), (found) => assert.deepStrictEqual(found, ["A 192.0.2.10"])), {
        search: ["nowhere.example", "example"]
      }))

    it.effect("asks in mixed case", () =>
      resolving(Effect.map(ask(["one.example", "A"]), (found) => assert.deepStrictEqual(found, ["A 192.0.2.10"])), {
        mixCase: true
      }))

    it.effect("asks over TCP for what does not fit into a datagram, and is not told twice", () =>
      resolving(Effect.gen(function*() {
        const before = yield* counted("dns.sentTcp")
        for (let time = 0; time < 2; time++) {
          assert.deepStrictEqual(yield* ask(["large.example", "TXT"]), large)
        }
        assert.strictEqual(yield* counted("dns.sentTcp"), before + 1)
      })))
  })
}, ON_AND_OFF)

// Most of it is waiting, longer each time, for small datagrams: once is enough.
Namespace.describeLinux("Linux, names through losses", ["dnsmasq", ...LossyPath.PROGRAMS], () => {
  layer(host(true), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      `resolves ${MANY} names, and what does not fit into a datagram, through a loss of 20 % both ways`,
      () =>
        resolving(
          Effect.gen(function*() {
            const { path } = yield* Server
            yield* path.lose(0.2, "{ tcp, udp }")
            const names = Array.from({ length: MANY }, (_, index) => index)
            yield* Effect.forEach(
              names,
              (index) =>
                Effect.map(
                  ask([`h${index}.example`, "A"]),
                  (found) => assert.deepStrictEqual(found, [`A 198.51.100.${index + 1}`])
                ),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(yield* ask(["large.example", "TXT"]), large)
            const { fromKernel, fromStack } = yield* path.lost
            assert.isAbove(Math.min(fromKernel, fromStack), 2)
            assert.isAbove(yield* counted("dns.timeouts"), 4)
            yield* path.lose(0)
          }),
          { timeout: "500 millis", tries: 9 }
        ),
      180_000
    )
  })
})
