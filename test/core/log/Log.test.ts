import { assert, describe, it } from "@effect/vitest"
import * as Log from "@strata/core/log/Log"
import { Trace } from "@strata/core/Trace"
import { Effect, Layer } from "effect"
import { arpFrame, arpLayer, attach } from "../../support/link.ts"

const REQUEST = arpFrame(0xffff_ffff_ffff, {
  operation: 1,
  senderHardware: 0x0e4e_afbc_64c6,
  senderProtocol: 0xc000_0201,
  targetHardware: 0,
  targetProtocol: 0xc000_0209
})

/** The stages of what is logged while a device comes, gets a frame and goes. */
const stagesAt = (level: Log.Level | undefined) =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    const log = Log.layer({ level, write: (text) => texts.push(text) })
    yield* Effect.gen(function*() {
      const trace = yield* Trace
      trace.emit({ _tag: "Message", level: "error", stage: "an.error", text: "" })
      trace.emit({ _tag: "Message", level: "warning", stage: "a.warning", text: "" })
      assert.strictEqual(trace.enabled, level === "debug")
      const link = yield* attach({ name: "tap0", hardware: 0x0000_5e00_5301 })
      link.receive(REQUEST)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(log, arpLayer)))
    return texts.map((text) => text.split(" ")[2])
  })

describe("the log", () => {
  it.effect("at level debug shows each packet", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* stagesAt("debug"), [
        "an.error:",
        "a.warning:",
        "devices.attach:",
        "devices.open:",
        "ethernet.input:",
        "arp.input:",
        "devices.close:",
        "devices.detach:"
      ])
    }))

  it.effect("shows by default what somebody who runs the host wants to know, and traces no packets for that", () =>
    Effect.gen(function*() {
      const shown = ["an.error:", "a.warning:", "devices.open:", "devices.close:"]
      assert.deepStrictEqual(yield* stagesAt("info"), shown)
      assert.deepStrictEqual(yield* stagesAt(undefined), shown)
    }))

  it.effect("shows less at level warning and error", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* stagesAt("warning"), ["an.error:", "a.warning:"])
      assert.deepStrictEqual(yield* stagesAt("error"), ["an.error:"])
    }))

  it.effect("keeps to its level while another one shows more, and ends when it is told to", () =>
    Effect.gen(function*() {
      const trace = yield* Trace
      const brief: Array<string> = []
      const full: Array<string> = []
      const stopBrief = Log.listen(trace, { write: (text) => brief.push(text) })
      const stopFull = Log.listen(trace, { level: "debug", hexdump: true, write: (text) => full.push(text) })
      assert.isTrue(trace.enabled)
      trace.emit({ _tag: "Dropped", layer: "ipv4", reason: "badChecksum", bytes: new Uint8Array(1) })
      stopFull()
      assert.isFalse(trace.enabled)
      trace.emit({ _tag: "DeviceOpened", device: "tap0", type: "ethernet" })
      stopBrief()
      trace.emit({ _tag: "DeviceOpened", device: "tap1", type: "ethernet" })
      assert.deepStrictEqual(brief.map((text) => text.slice(13)), ["[I] devices.open: dev=tap0, state=up"])
      assert.deepStrictEqual(full.map((text) => text.split("\n").length), [2])
    }).pipe(Effect.provide(arpLayer)))
})
