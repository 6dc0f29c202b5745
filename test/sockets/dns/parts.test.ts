/**
 * The small parts of the resolver by themselves.
 */
import { assert, describe, it } from "@effect/vitest"
import { StrataDns } from "@strata/sockets"
import { candidates } from "@strata/sockets/dns/SearchList"
import * as Settings from "@strata/sockets/dns/Settings"
import { Duration, Result } from "effect"
import { Host, NetAddress } from "effect/net"

const { fromResolvConf } = StrataDns

describe("resolv.conf", () => {
  it("is understood", () => {
    const conf = fromResolvConf(`
# a comment
; another
nameserver 192.0.2.1
nameserver\t192.0.2.2   trailing words
domain ignored.example
search One.example two.example.
options ndots:2 timeout:3
options attempts:4 rotate edns0 use-vc`)
    assert.deepStrictEqual(conf.nameServers!.map((one) => NetAddress.formatInet(one)), ["192.0.2.1:53", "192.0.2.2:53"])
    assert.deepStrictEqual<ReadonlyArray<string>>(conf.search!, ["one.example", "two.example."])
    assert.deepInclude(conf, { ndots: 2, tries: 4, rotate: true, edns: true, tcp: true })
    assert.strictEqual(Duration.toMillis(conf.timeout!), 3000)
  })

  it("says nothing where it says nothing", () => assert.deepStrictEqual(fromResolvConf(""), {}))

  it("has a domain in the place of a search list, whichever comes last", () =>
    assert.deepStrictEqual<unknown>(fromResolvConf("search a.example b.example\r\ndomain c.example\r\n"), {
      search: ["c.example"]
    }))

  it("has bounds", () => {
    const conf = fromResolvConf(`options ndots:99 timeout:99 attempts:99
${[1, 2, 3, 4].map((last) => `nameserver 192.0.2.${last}`).join("\n")}`)
    assert.deepInclude(conf, { ndots: 15, tries: 5 })
    assert.strictEqual(Duration.toSeconds(conf.timeout!), 30)
    assert.strictEqual(conf.nameServers!.length, 3)
  })

  it("may hold what is not understood, and servers that IPv4 does not reach", () =>
    assert.deepStrictEqual(
      fromResolvConf(
        "nameserver 2001:db8::1\nnameserver\nnameserver nonsense\nsortlist 1\noptions ndots timeout:x trust-ad\n #"
      ),
      {}
    ))
})

describe("candidates", () => {
  const search = ["a.example.", "b.example."]
  it.each([
    ["absolute names stand for themselves", "x.", 1, ["x."]],
    ["names with few dots come last", "x", 1, ["x.a.example.", "x.b.example.", "x."]],
    ["names with dots come first", "x.y", 1, ["x.y.", "x.y.a.example.", "x.y.b.example."]],
    ["ndots says how many are few", "x.y", 2, ["x.y.a.example.", "x.y.b.example.", "x.y."]],
    ["ndots may be 0", "x", 0, ["x.", "x.a.example.", "x.b.example."]]
  ])("%s", (_, name, ndots, expected) => assert.deepStrictEqual(candidates(name, search, ndots), expected))

  it("are no longer than names can be, and each is there once", () => {
    const long = `${"x".repeat(62)}.`.repeat(4).slice(0, -1)
    assert.deepStrictEqual(candidates(long, search, 1), [`${long}.`])
    assert.deepStrictEqual(candidates("x", [".", "."], 1), ["x."])
  })
})

const made = (options: Settings.Options) => Result.getOrThrow(Settings.make(options))

describe("settings", () => {
  it("have defaults", () => {
    const settings = made({})
    assert.deepStrictEqual(settings.nameServers.map((one) => NetAddress.formatInet(one)), ["127.0.0.1:53"])
    assert.deepInclude(settings, { timeout: 2000, tries: 4, ndots: 1, ednsSize: 1232, rotate: false, tcp: false })
  })

  it("are brought into bounds", () => {
    assert.deepInclude(made({ timeout: 0.2, tries: 0 }), { timeout: 1, tries: 1 })
    assert.deepInclude(made({ timeout: Duration.infinity, tries: Number.NaN }), { timeout: 2 ** 31 - 1, tries: 1 })
    assert.deepInclude(made({ timeout: 1.5, tries: 2.9 }), { timeout: 2, tries: 2 })
    assert.deepStrictEqual([false, true, 100, 4096, 1e6].map((edns) => made({ edns }).ednsSize), [
      undefined,
      1232,
      512,
      4096,
      65_535
    ])
  })

  it("take name servers as addresses, text and bytes, and hosts as a hosts file has them", () => {
    const settings = made({
      nameServers: ["192.0.2.1", "192.0.2.2:5353", Uint8Array.of(192, 0, 2, 3)],
      hosts: Host.parseHostsFile("192.0.2.9 printer # in the hall")
    })
    assert.deepStrictEqual(settings.nameServers.map((one) => NetAddress.formatInet(one)), [
      "192.0.2.1:53",
      "192.0.2.2:5353",
      "192.0.2.3:53"
    ])
    const address = settings.hosts.addressesOf(Host.domainNameFromStringUnsafe("printer."))![0]!
    assert.strictEqual(NetAddress.formatIp(address), "192.0.2.9")
  })
})
