import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Devices, Entropy, NetworkStack } from "@strata/core"
import { Capture, Pcapng, Wire } from "@strata/drivers"
import { Context, Effect, FileSystem, Layer, Result, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { packetOf } from "../support/bareStack.ts"

/** A host behind a capture, and somebody at the other end of its wire who sends it an octet of nothing. */
const exchange = Effect.fnUntraced(function*(capture: Capture.Capture) {
  const wire = Wire.make()
  const captured = Wire.layer(wire.left, { name: "eth7", address: "192.0.2.1/24" }).pipe(
    Capture.of(capture, "host:eth7")
  )
  const stack = NetworkStack.network.pipe(Layer.provideMerge(Entropy.layerSeeded(1)))
  yield* Layer.build(Layer.fresh(captured.pipe(Layer.provideMerge(stack))))
  const other = yield* Layer.build(Layer.fresh(Wire.layer(wire.right).pipe(Layer.provideMerge(stack))))
  yield* TestClock.adjust(1)
  const devices = Context.get(other, Devices)
  devices.transmit(devices.byName("eth0")!, packetOf(new Uint8Array(60)))
  yield* TestClock.adjust(1)
})

const check = (file: Uint8Array) => {
  const blocks = Result.getOrThrow(Pcapng.decode(file))
  assert.deepStrictEqual(blocks.slice(0, 2), [
    { _tag: "Section", application: "strata" },
    { _tag: "Interface", linkType: 1, snapLength: 0, name: "host:eth7" }
  ])
  const packets = blocks.filter((block) => block._tag === "Packet")
  assert.deepStrictEqual(packets.map(({ bytes, direction }) => [direction, bytes.length]), [
    ["outbound", 60],
    ["inbound", 60]
  ])
  assert.deepStrictEqual(packets[1]!.comments, ["dropped by ethernet: notForUs"])
  return packets.length
}

describe("Capture", () => {
  it.effect("is complete in its file when its scope closes", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/capture.pcapng`
      const count = yield* Effect.scoped(Effect.gen(function*() {
        const capture = yield* Capture.toFile(path)
        yield* exchange(capture)
        return capture.packets()
      }))
      assert.strictEqual(check(yield* files.readFile(path)), count)
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.effect("is a Stream that ends with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { capture, stream } = yield* Scope.provide(Capture.toStream(), scope)
      yield* Scope.provide(exchange(capture), scope)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      const blocks = yield* Stream.runCollect(stream)
      check(Uint8Array.from(Buffer.concat([...blocks])))
    }))

  it.effect("keeps as much of each packet as it is told to", () =>
    Effect.gen(function*() {
      const blocks: Array<Uint8Array> = []
      yield* exchange(yield* Capture.make((block) => void blocks.push(block), { snapLength: 20 }))
      const packets = Result.getOrThrow(Pcapng.decode(Uint8Array.from(Buffer.concat(blocks)))).filter((block) =>
        block._tag === "Packet"
      )
      for (const { bytes, originalLength } of packets) assert.deepStrictEqual([bytes.length, originalLength], [20, 60])
    }))
})
