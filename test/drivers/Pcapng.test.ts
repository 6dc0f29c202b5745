import { assert, describe, it } from "@effect/vitest"
import * as Pcapng from "@strata/drivers/capture/Pcapng"
import { Result, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isMissing } from "../support/tools.ts"

const u32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
const time = Schema.Tuple([u32, u32]).check(Schema.makeFilter(([seconds]) => seconds < 2 ** 31))
// Text as files can hold it: without halves of surrogate pairs.
const text = Schema.String.check(Schema.isMaxLength(40), Schema.makeFilter((value: string) => value.isWellFormed()))
const octets = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
  Schema.isMaxLength(70)
)
const section = Schema.Struct({
  application: text,
  interfaces: Schema.NonEmptyArray(Schema.Struct({ name: text, linkType: Schema.Literals([1, 101]), snapLength: u32 })),
  packets: Schema.Array(Schema.Struct({
    interface: u32,
    time,
    direction: Schema.Literals(["inbound", "outbound", "unknown"]),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })),
    octets,
    comments: Schema.Array(text)
  }))
})

const blocksOf = (described: typeof section.Type): ReadonlyArray<Pcapng.Block> => [
  { _tag: "Section", application: described.application },
  ...described.interfaces.map((self) => ({ _tag: "Interface", ...self }) as const),
  ...described.packets.map((packet) => ({
    _tag: "Packet" as const,
    interface: packet.interface % described.interfaces.length,
    time: BigInt(packet.time[0]) * 1_000_000_000n + BigInt(packet.time[1] % 1_000_000_000),
    direction: packet.direction,
    originalLength: packet.octets.length + packet.cut,
    bytes: Uint8Array.from(packet.octets),
    comments: packet.comments
  }))
]

const file = (blocks: ReadonlyArray<Pcapng.Block>) => Uint8Array.from(Buffer.concat(blocks.map(Pcapng.encode)))

const sample: ReadonlyArray<Pcapng.Block> = [
  { _tag: "Section", application: "strata" },
  { _tag: "Interface", linkType: 1, snapLength: 0, name: "a:eth0" },
  {
    _tag: "Packet",
    interface: 0,
    time: 946_684_800_000_000_001n,
    direction: "outbound",
    originalLength: 60,
    bytes: new Uint8Array(60),
    comments: ["tcp 10.0.0.1:7 10.0.0.2:9: SYN-SENT to ESTABLISHED", "second"]
  }
]

const words = (...values: ReadonlyArray<number>) => {
  const bytes = new Uint8Array(values.length * 4)
  values.forEach((value, index) => new DataView(bytes.buffer).setUint32(index * 4, value))
  return bytes
}

/** The same file as a machine with the other byte order writes it; only for blocks without options. */
const bigEndian = (): Uint8Array => {
  return Uint8Array.from(Buffer.concat([
    words(0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28),
    words(1, 20, 0x00010000, 65535, 20),
    words(6, 36, 0, 1, 5, 4, 4, 0xdeadbeef, 36)
  ]))
}

describe("Pcapng", () => {
  it.prop("reads back what it wrote", { described: section }, ({ described }) => {
    const blocks = blocksOf(described)
    assert.deepStrictEqual(Result.getOrThrow(Pcapng.decode(file(blocks))), blocks)
  })

  it("gives packets memory of their own, when the file is a Buffer, too", () => {
    const whole = Buffer.from(file(sample))
    const blocks = Result.getOrThrow(Pcapng.decode(whole))
    whole.fill(0xee)
    assert.deepStrictEqual(blocks, sample)
  })

  it.prop(
    "refuses a file that is cut anywhere inside a block",
    { described: section, at: u32 },
    ({ at, described }) => {
      const blocks = blocksOf(described)
      const whole = file(blocks)
      const cut = at % whole.length
      const boundary = blocks.some((_, index) => file(blocks.slice(0, index)).length === cut)
      const result = Pcapng.decode(whole.subarray(0, cut))
      assert.strictEqual(Result.isSuccess(result), boundary)
    }
  )

  it.prop("never throws, whatever the bytes", { noise: octets, at: u32 }, ({ at, noise }) => {
    const bytes = file(sample)
    bytes.set(noise, at % (bytes.length - noise.length))
    const result = Pcapng.decode(bytes)
    if (Result.isFailure(result)) assert.include(result.failure.message, "not a valid pcapng file")
  })

  it("reads files of the other byte order, with microseconds by default", () => {
    assert.deepStrictEqual(Result.getOrThrow(Pcapng.decode(bigEndian())), [
      { _tag: "Section", application: undefined },
      { _tag: "Interface", linkType: 1, snapLength: 65535, name: undefined },
      {
        _tag: "Packet",
        interface: 0,
        time: (0x1_0000_0005n) * 1000n,
        direction: "unknown",
        originalLength: 4,
        bytes: Uint8Array.of(0xde, 0xad, 0xbe, 0xef),
        comments: []
      }
    ])
  })

  it("takes a captured length as unsigned", () => {
    const bytes = file(sample)
    const packet = bytes.length - Pcapng.encode(sample[2]!).length
    bytes[packet + 8 + 12 + 3] = 0x80
    assert.isTrue(Result.isFailure(Pcapng.decode(bytes)))
  })

  it("says where a file is wrong", () => {
    const bytes = file(sample)
    bytes[Pcapng.encode(sample[0]!).length + 4] = 13
    const result = Pcapng.decode(bytes)
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) {
      assert.match(result.failure.message, /^not a valid pcapng file: at byte \d+, a block claims 13 bytes$/)
    }
    const empty = Pcapng.decode(new Uint8Array(12))
    assert.isTrue(Result.isFailure(empty) && empty.failure.problem === "there is no section header")
  })

  it.skipIf(isMissing("tshark"))("is read by tshark to the nanosecond, with comments, directions and names", () => {
    const folder = mkdtempSync(join(tmpdir(), "strata-"))
    try {
      const path = join(folder, "sample.pcapng")
      writeFileSync(path, file(sample))
      const fields = ["frame.time_epoch", "frame.interface_name", "frame.packet_flags_direction", "frame.comment"]
      const printed = execFileSync(
        "tshark",
        ["-r", path, "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"]
        }
      )
      const [epoch, name, direction, comment] = printed.trimEnd().split("\t")
      assert.strictEqual(epoch, "946684800.000000001")
      assert.strictEqual(name, "a:eth0")
      assert.strictEqual(direction, "0x00000002")
      assert.include(comment, "SYN-SENT to ESTABLISHED")
      assert.include(comment, "second")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
