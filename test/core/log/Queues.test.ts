import { assert, layer } from "@effect/vitest"
import { Log, NetworkStack, Trace, Udp } from "@strata/core"
import { Effect, Layer } from "effect"
import { Probe, udp } from "../../support/Probe.ts"

const stack = Layer.fresh(Probe.layer().pipe(Layer.provideMerge(NetworkStack.layer)))

layer(stack)("the queue of a socket", (it) => {
  it.effect("is seen to fill, and to be emptied", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const texts: Array<string> = []
      const socket = yield* (yield* Udp).bind({ port: 7 })
      const stop = Log.listen(yield* Trace, { level: "debug", write: (text) => texts.push(text.slice(17)) })
      probe.send(udp({ from: 49_152, to: 7, payload: Uint8Array.of(1, 2, 3) }))
      probe.send(udp({ from: 49_152, to: 7, payload: Uint8Array.of(4) }))
      assert.strictEqual((yield* socket.take).length, 2)
      stop()
      assert.deepStrictEqual(texts.filter((text) => text.startsWith("queue.")), [
        "queue.push: queue pushed (num:1), queue=udp 0.0.0.0:7, len=3",
        "queue.push: queue pushed (num:2), queue=udp 0.0.0.0:7, len=1",
        "queue.pop: queue popped (num:0), queue=udp 0.0.0.0:7, len=4"
      ])
    }))
})
