import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Pcapng from "@strata/drivers/capture/Pcapng"
import { Network, Simulation } from "@strata/simulation"
import { KeptCapture } from "@strata/simulation/KeptCapture"
import { ConfigProvider, Context, Effect, Exit, FileSystem, Logger, Result } from "effect"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { capture } from "../support/simulation/scene.ts"
import { isMissing } from "../support/tools.ts"

const run = promisify(execFile)
const script = fileURLToPath(new URL("../support/simulation/exchange.ts", import.meta.url))

const recorded = Effect.fnUntraced(function*(seed: number) {
  const blocks: Array<Uint8Array> = []
  yield* capture(seed, (block) => void blocks.push(block))
  return Uint8Array.from(Buffer.concat(blocks))
})

const packetsOf = (file: Uint8Array) =>
  Result.getOrThrow(Pcapng.decode(file)).filter((block) => block._tag === "Packet")

const inFolder = <A, E>(use: (path: (name: string) => string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.gen(function*() {
    const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "strata-" })
    return yield* use((name) => `${folder}/${name}`)
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

const tshark = (...args: ReadonlyArray<string>) =>
  Effect.map(Effect.promise(() => run("tshark", args, { maxBuffer: 64 * 1024 * 1024 })), ({ stdout }) => stdout)

const CHECKSUMS = ["ip", "tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`])

describe("the capture of a simulation", () => {
  it.effect("is the same in two processes, and in this one", () =>
    Effect.gen(function*() {
      const other = Effect.map(Effect.promise(() => run(process.execPath, [script, "7"])), ({ stdout }) => stdout)
      const [one, two] = yield* Effect.all([other, other])
      assert.match(one, /^[0-9a-f]{64}$/)
      assert.strictEqual(one, two)
      assert.strictEqual(one, createHash("sha256").update(yield* recorded(7)).digest("hex"))
    }), 60_000)

  it.effect("is in the order of time, and numbered as Wireshark does", () =>
    Effect.gen(function*() {
      const packets = packetsOf(yield* recorded(1))
      assert.isAbove(packets.length, 500)
      for (const [index, { time }] of packets.entries()) assert.isTrue(index === 0 || time >= packets[index - 1]!.time)
    }))

  it.effect("says what the stacks told: each drop, and each change of state, once", () =>
    Effect.gen(function*() {
      const comments = packetsOf(yield* recorded(1)).flatMap((packet) => packet.comments)
      for (
        const expected of [
          /dropped by tcp: badChecksum/,
          /: SYN-SENT to ESTABLISHED$/,
          /: SYN-RECEIVED to ESTABLISHED$/
        ]
      ) {
        assert.isTrue(comments.some((comment) => expected.test(comment)), `${expected}`)
      }
      const changes = comments.filter((comment) => comment.includes("SYN-SENT to ESTABLISHED"))
      assert.strictEqual(new Set(changes).size, changes.length)
    }))

  it.effect.skipIf(isMissing("tshark"))(
    "looks well-formed to tshark, but for what the wire has corrupted",
    () =>
      inFolder((path) =>
        Effect.gen(function*() {
          const file = path("scene.pcapng")
          yield* (yield* FileSystem.FileSystem).writeFile(file, yield* recorded(1))
          // What a stack sends is right, as long as it was not received by another one in worse condition.
          const sent = "frame.packet_flags_direction == 2"
          const wrong =
            "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0"
          assert.strictEqual(yield* tshark("-r", file, ...CHECKSUMS, "-Y", `${sent} && (${wrong})`), "")
          const badAndDropped = "frame.packet_flags_direction == 1 && tcp.checksum.status == 0"
          const bad =
            (yield* tshark("-r", file, ...CHECKSUMS, "-Y", badAndDropped, "-T", "fields", "-e", "frame.comment"))
              .split("\n").filter((line) => line !== "")
          assert.isAbove(bad.length, 0)
          assert.isTrue(bad.every((comment) => comment.includes("dropped by tcp: badChecksum")))
        })
      ),
    60_000
  )
})

const failing = Effect.gen(function*() {
  const network = yield* Network
  const [a, b] = [yield* network.host("a"), yield* network.host("b")]
  yield* network.wire(a, b)
  yield* Effect.sleep("1 second")
  return yield* Effect.fail("on purpose")
})

describe("the capture of a run that fails", () => {
  it.effect("is handed over to whoever wants it, and only then", () =>
    Effect.gen(function*() {
      const captures: Array<Uint8Array> = []
      const captureFailure = (pcapng: Uint8Array) => Effect.sync(() => void captures.push(pcapng))
      yield* Simulation.run(Effect.void, { captureFailure })
      assert.strictEqual(captures.length, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Simulation.run(failing, { captureFailure }))))
      assert.strictEqual(captures.length, 1)
      assert.isAbove(packetsOf(captures[0]!).length, 1)
    }))

  it.effect("is written to a file whose name may have the seed in it", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        yield* Effect.exit(Simulation.run(failing, { seed: 17, captureFailure: path("failed-{seed}.pcapng") }))
        const file = yield* (yield* FileSystem.FileSystem).readFile(path("failed-17.pcapng"))
        assert.isAbove(packetsOf(file).length, 1)
      })
    ))

  it.effect("is written to the file that STRATA_CAPTURE names", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        yield* Effect.exit(Simulation.run(failing)).pipe(
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromUnknown({ STRATA_CAPTURE: path("named.pcapng") })
          )
        )
        assert.isTrue(yield* (yield* FileSystem.FileSystem).exists(path("named.pcapng")))
      })
    ))

  it.effect("needs no FileSystem in Node, and says what went wrong", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const logged: Array<string> = []
        const logger = Logger.make(({ message }) => void logged.push(String(message)))
        const failure = (captureFailure: string) =>
          Effect.exit(Simulation.run(failing, { captureFailure })).pipe(
            Effect.provide(Logger.layer([logger])),
            Effect.updateContext((context: Context.Context<never>) =>
              Context.omit(FileSystem.FileSystem)(context) as Context.Context<never>
            )
          )
        yield* failure(path("plain.pcapng"))
        assert.isTrue(yield* (yield* FileSystem.FileSystem).exists(path("plain.pcapng")))
        assert.include(logged.at(-1), `its capture is in ${path("plain.pcapng")}`)
        yield* failure(path("nowhere/plain.pcapng"))
        assert.match(logged.at(-1)!, /its capture cannot be written to .*nowhere.*: Error: ENOENT/)
      })
    ))

  it("keeps the latest packets within its bound, and what they need to be read", () => {
    const kept = new KeptCapture(10_000)
    kept.add(Pcapng.encode({ _tag: "Section", application: "strata" }))
    kept.add(Pcapng.encode({ _tag: "Interface", linkType: 1, snapLength: 0, name: "a:eth0" }))
    for (let number = 0; number < 5000; number++) {
      kept.add(Pcapng.encode({
        _tag: "Packet",
        interface: 0,
        time: BigInt(number),
        direction: "inbound",
        originalLength: 60,
        bytes: new Uint8Array(60),
        comments: []
      }))
    }
    const packets = packetsOf(kept.bytes())
    assert.strictEqual(packets.length + kept.forgotten, 5000)
    assert.isAbove(packets.length, 50)
    assert.isBelow(kept.bytes().length, 10_500)
    assert.deepStrictEqual(packets.map(({ time }) => Number(time)), packets.map((_, index) => kept.forgotten + index))
  })
})
