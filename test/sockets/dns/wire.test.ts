/**
 * The wire format: against another implementation of it, and against octets that mean nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Answer from "@strata/sockets/dns/Answer"
import * as Message from "@strata/sockets/dns/Message"
import * as Name from "@strata/sockets/dns/Name"
import * as RecordData from "@strata/sockets/dns/RecordData"
import * as DnsPacket from "dns-packet"
import { Arbitrary, Schema } from "effect"
import { Dns } from "effect/net"
import { octets } from "../../core/wire/codec.ts"

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const integer = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
const several = <A>(item: Arbitrary.Arbitrary<A>, minLength: number, maxLength: number) =>
  Arbitrary.array(item, { minLength, maxLength })

/** A name as it travels. */
const nameOctets = several(octets(1, 63), 0, 6).pipe(
  Arbitrary.map((labels) => Uint8Array.from([...labels.flatMap((one) => [one.length, ...one]), 0])),
  Arbitrary.filter((travelling) => travelling.length <= 255)
)

const read = (travelling: string | Uint8Array, at = 0) =>
  Name.read(typeof travelling === "string" ? bytesOf(travelling) : travelling, at)

/** A root, and pointers each of which leads to the one before. */
const chain = (length: number) =>
  Uint8Array.from([
    0,
    0,
    ...Array.from({ length }, (_, index) => [0xc0 | (index * 2 >> 8), index * 2 & 0xff]).flat()
  ])

describe("names", () => {
  it.prop(
    "are the same after reading and writing, whatever octets they have",
    { travelling: nameOctets },
    ({ travelling }) => {
      const name = Name.read(travelling, 0)!
      assert.strictEqual(name.end, travelling.length)
      assert.deepStrictEqual(Name.write(name.name), travelling)
    }
  )

  it("keep a dot inside a label apart from the dots between labels", () => {
    assert.strictEqual(read("\x03a.b\x01c\0")!.name, "a\\.b.c.")
    assert.strictEqual(read("\x01a\x01b\x01c\0")!.name, "a.b.c.")
    assert.strictEqual(read("\x02\\.\0")!.name, "\\\\\\..")
    assert.strictEqual(read("\0")!.name, ".")
  })

  it("are followed backwards through pointers, and end behind the first", () => {
    const travelling = bytesOf("\x02ex\0\x01a\xc0\x00\x01b\xc0\x04")
    assert.deepStrictEqual(read(travelling, 4), { name: "a.ex.", end: 8 })
    assert.deepStrictEqual(read(travelling, 8), { name: "b.a.ex.", end: 12 })
  })

  it.each([
    ["nothing", "", 0],
    ["no end", "\x01a", 0],
    ["a label that is too long for the message", "\x05abc", 0],
    ["half a pointer", "\xc0", 0],
    ["a pointer to itself", "\xc0\x00", 0],
    ["a pointer forwards", "\xc0\x02\0", 0],
    ["a circle", "\x01a\xc0\x00", 0],
    ["a kind of label that does not exist", "\x41a\0", 0],
    ["more than 255 octets", `${`\x3f${"x".repeat(63)}`.repeat(4)}\0`, 0]
  ])("are not read from %s", (_, travelling, at) => assert.isUndefined(read(travelling, at)))

  it("have no more pointers than labels", () => {
    assert.strictEqual(Name.read(chain(127), 2 * 127)!.name, ".")
    assert.isUndefined(Name.read(chain(128), 2 * 128))
  })

  it("are not written when they are too long, or none", () => {
    for (const name of ["", "a", "a..b.", ".a.", `${"x".repeat(64)}.`, `${"x".repeat(49)}.`.repeat(6), "a\\"]) {
      assert.isUndefined(Name.write(name), name)
    }
    assert.strictEqual(Name.write(`${"x".repeat(63)}.`.repeat(3) + `${"x".repeat(61)}.`)!.length, 255)
  })

  it("are compared without regard to the case of ASCII letters, and of no others", () => {
    assert.strictEqual(Name.fold("A.É."), "a.É.")
    assert.strictEqual(Name.toText("caf\xc3\xa9.\xff."), "café.\ufffd.")
  })
})

/** Up to three labels of hosts. */
const host = Arbitrary.map(
  several(several(integer(35), 1, 8), 1, 3),
  (labels) => labels.map((letters) => `x${letters.map((letter) => letter.toString(36)).join("")}`).join(".")
)
const u8 = integer(0xff)
const u16 = integer(0xffff)
const u32 = integer(0xffff_ffff)
const text = Arbitrary.filter(
  Arbitrary.schema(Schema.String),
  (one) => one.isWellFormed() && Buffer.byteLength(one) <= 255
)

/** Data of each type as `dns-packet` takes it, and how the record is written by people. */
const samples: { readonly [T in Dns.RecordType]: Arbitrary.Arbitrary<readonly [data: unknown, formatted: string]> } = {
  A: Arbitrary.map(several(u8, 4, 4), (four) => [four.join("."), `A ${four.join(".")}`]),
  AAAA: Arbitrary.map(
    u16,
    (low) => [`2001:db8::${(low | 1).toString(16)}`, `AAAA 2001:db8::${(low | 1).toString(16)}`]
  ),
  CAA: Arbitrary.map(host, (value) => [{ flags: 128, tag: "issue", value }, `CAA 128 issue "${value}"`]),
  CNAME: Arbitrary.map(host, (name) => [name, `CNAME ${name}.`]),
  MX: Arbitrary.map(Arbitrary.all([u16, host]), ([preference, exchange]) => [
    { preference, exchange },
    `MX ${preference} ${exchange}.`
  ]),
  NAPTR: Arbitrary.map(Arbitrary.all([u16, u16, host]), ([order, preference, replacement]) => [
    { order, preference, flags: "u", services: "E2U+sip", regexp: "!^.*$!sip:x!", replacement },
    `NAPTR ${order} ${preference} "u" "E2U+sip" "!^.*$!sip:x!" ${replacement}.`
  ]),
  NS: Arbitrary.map(host, (name) => [name, `NS ${name}.`]),
  PTR: Arbitrary.map(host, (name) => [`my printer.${name}`, `PTR my\\032printer.${name}.`]),
  SOA: Arbitrary.map(Arbitrary.all([host, u32, u32]), ([mname, serial, minimum]) => [
    { mname, rname: "john\\.doe.example", serial, refresh: 2, retry: 3, expire: 4, minimum },
    `SOA ${mname}. john\\.doe.example. ${serial} 2 3 4 ${minimum}`
  ]),
  SRV: Arbitrary.map(Arbitrary.all([u16, u16, u16, host]), ([priority, weight, port, target]) => [
    { priority, weight, port, target },
    `SRV ${priority} ${weight} ${port} ${target}.`
  ]),
  TLSA: Arbitrary.map(u8, (usage) => [
    { usage, selector: 1, matchingType: 2, certificate: Buffer.of(0xab, usage) },
    `TLSA ${usage} 1 2 AB${usage.toString(16).padStart(2, "0").toUpperCase()}`
  ]),
  TXT: Arbitrary.map(several(text, 1, 4), (chunks) => [
    [...chunks],
    Dns.formatRecord(Dns.makeRecordUnsafe("TXT", { chunks: chunks as [string] }))
  ])
}

const encoded = (type: Dns.RecordType, data: unknown, more: Partial<DnsPacket.Packet> = {}): Uint8Array =>
  DnsPacket.encode({
    type: "response",
    id: 7,
    questions: [{ name: "one.example", type }],
    answers: [{ name: "one.example", type, ttl: 60, data } as DnsPacket.Answer],
    ...more
  })

const arbitraryMessage = Arbitrary.flatMap(
  integer(Dns.recordTypes.length - 1),
  (index) => Arbitrary.map(samples[Dns.recordTypes[index]!], ([data]) => encoded(Dns.recordTypes[index]!, data))
)

/** Whatever can be asked of octets; nothing of it may throw. */
const readEverything = (bytes: Uint8Array): void => {
  const message = Message.read(bytes)
  if (message === undefined) return
  for (const type of Dns.recordTypes) {
    Answer.read(message, "one.example.", type)
    for (const resource of [...message.answers, ...message.authorities]) {
      assert.isAtMost(resource.end, bytes.length)
      RecordData.read(message, resource, type)
      RecordData.readTarget(message, resource)
      RecordData.readNegativeTtl(message, resource)
    }
  }
}

/** The record that has that data. */
const raw = (type: "A" | "TXT" | "SOA", data: Uint8Array) => {
  const bytes = encoded("TXT", "").slice(0, -3)
  const at = bytes.length
  const whole = Uint8Array.of(...bytes, data.length >> 8, data.length, ...data)
  new DataView(whole.buffer).setUint16(at - 8, RecordData.RecordTypes[type])
  const message = Message.read(whole)!
  return RecordData.read(message, message.answers[0]!, type)
}

describe("messages", () => {
  for (const type of Dns.recordTypes) {
    it.prop(
      `of type ${type} are read as another implementation wrote them`,
      { sample: samples[type] },
      ({ sample }) => {
        const [data, formatted] = sample
        const verdict = Answer.read(Message.read(encoded(type, data))!, "one.example.", type)
        assert.strictEqual(verdict._tag, "Found")
        if (verdict._tag !== "Found") return
        assert.strictEqual(verdict.ttl, 60)
        assert.deepStrictEqual(verdict.records.map((record) => Dns.formatRecord(record)), [formatted])
      }
    )
  }

  it.prop(
    "are written as another implementation reads them",
    { id: u16, name: host, size: u16 },
    ({ id, name, size }) => {
      const question = Message.questionOf(Name.write(`${name}.`)!, RecordData.RecordTypes.MX)
      for (const edns of [size, undefined]) {
        const packet = DnsPacket.decode(Buffer.from(Message.write(id, question, edns)))
        assert.deepInclude(packet, { id, type: "query", flag_rd: true, flag_tc: false })
        assert.deepStrictEqual(packet.questions, [{ name, type: "MX", class: "IN" }])
        const opt = packet.additionals![0]
        assert.strictEqual(opt?.type === "OPT" ? opt.udpPayloadSize : undefined, edns)
      }
    }
  )

  it.prop("cut off anywhere are none", { bytes: arbitraryMessage }, ({ bytes }) => {
    for (let length = 0; length < bytes.length; length++) assert.isUndefined(Message.read(bytes.subarray(0, length)))
  })

  it.prop(
    "of random octets never throw",
    // Few records, so that some of them are well formed.
    { bytes: octets(0, 200), counts: several(integer(2), 4, 4) },
    ({ bytes, counts }) => {
      readEverything(bytes)
      readEverything(Uint8Array.of(0, 7, 0x80, 0, ...counts.flatMap((count) => [0, count]), ...bytes))
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop(
    "with a few wrong octets never throw",
    { bytes: arbitraryMessage, changes: several(Arbitrary.all([u16, u8]), 1, 4) },
    ({ bytes, changes }) => {
      const wrong = Uint8Array.from(bytes)
      for (const [at, value] of changes) wrong[at % wrong.length] = value
      readEverything(wrong)
    },
    { arbitrary: { runs: 2000 } }
  )

  it("as large and as twisted as can be come to an end", () => {
    // Pointers to pointers, and records of nothing else: each name goes all the way back.
    const twisted = new Uint8Array(65_535)
    const view = new DataView(twisted.buffer)
    view.setUint16(2, 0x8000)
    view.setUint16(6, 5000)
    let at = 12
    for (let index = 0; at + 12 <= twisted.length; index++, at += 12) {
      if (index === 0) twisted[at] = 0
      else view.setUint16(at, 0xc000 | Math.min(at - 12, 0x3fff))
      // Type, class, TTL and length of the record behind the name.
      view.setUint16(at + (index === 0 ? 1 : 2), 1)
      view.setUint16(at + (index === 0 ? 3 : 4), 1)
      if (index === 0) at -= 1
    }
    assert.isUndefined(Message.read(twisted))
    view.setUint16(6, 100)
    assert.strictEqual(Message.read(twisted)!.answers.length, 100)
  })

  it("have a record's data within its bounds only", () => {
    const bytes = encoded("MX", { preference: 1, exchange: "mail.example" })
    const message = Message.read(bytes)!
    const [mx] = message.answers
    assert.isDefined(RecordData.read(message, mx!, "MX"))
    for (const change of [-1, 1]) {
      assert.isUndefined(RecordData.read(message, { ...mx!, end: mx!.end + change }, "MX"), `${change}`)
    }
  })

  it("of an IPv4 address with 5 octets, or of a text that ends too early, have no record", () => {
    assert.isDefined(raw("A", Uint8Array.of(1, 2, 3, 4)))
    assert.isUndefined(raw("A", Uint8Array.of(1, 2, 3, 4, 5)))
    assert.isUndefined(raw("A", Uint8Array.of(1, 2, 3)))
    assert.isDefined(raw("TXT", Uint8Array.of(1, 0x61)))
    assert.isUndefined(raw("TXT", Uint8Array.of(2, 0x61)))
    assert.isUndefined(raw("TXT", Uint8Array.of()))
    assert.isUndefined(raw("SOA", Uint8Array.of(0, 0, 1, 2, 3)))
  })
})
