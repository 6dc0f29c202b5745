/**
 * A program on the stack gives everything back, however it ends.
 */
import { expect, it } from "@effect/vitest"
import { NetworkStack, Tcp, Udp } from "@strata/core"
import { Loopback, Tap } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { readdirSync, readlinkSync } from "node:fs"
import {
  describeOffloads,
  KERNEL,
  Kernel,
  type Offload,
  ON_AND_OFF,
  STACK,
  tcpPeer,
  tcpReports
} from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { patterned } from "../support/transfer.ts"

/** Open descriptors of this process, by what they are; pipes and the like of child processes come and go. */
const descriptors = (): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return /\/net\/tun|^net:|packet|netns/.test(target) ? [target] : []
    } catch {
      return []
    }
  })

/** A server that is busy with a connection, on a TAP that goes when it does. */
const program = Effect.fnUntraced(function*(started: Effect.Effect<unknown>) {
  const tcp = yield* Tcp
  yield* (yield* Udp).bind({ port: 7 })
  const listener = yield* tcp.listen({ port: 7 })
  yield* started
  const connection = yield* listener.accept
  yield* Effect.forever(connection.write(patterned(1000, 0)))
}, Effect.scoped)

const hostIn = (namespace: string, offload: Offload) =>
  Layer.mergeAll(Loopback.layer, Tap.layer({ name: "tap1", address: "192.0.2.2/24", namespace, offload })).pipe(
    Layer.provideMerge(Layer.fresh(NetworkStack.layer))
  )

describeOffloads("Linux, what a program leaves behind", [], (offload) => {
  it.live("nothing when it is interrupted amidst a transfer, and the peer is told", () =>
    Effect.gen(function*() {
      const kernel = yield* Kernel
      const before = descriptors()
      for (let round = 0; round < 5; round++) {
        yield* kernel.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap1")
        yield* kernel.succeed("ip", "addr", "flush", "dev", "tap0")
        yield* kernel.succeed("ip", "addr", "add", `${KERNEL}/24`, "dev", "tap1")
        yield* kernel.succeed("ip", "link", "set", "tap1", "up")
        const fiber = yield* Effect.forkChild(program(Effect.void).pipe(Effect.provide(hostIn(kernel.path, offload))))
        yield* Effect.sleep(100)
        expect(descriptors().length).toBeGreaterThan(before.length)
        const peer = yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, end: "afterReceiving", pause: 200 })
        yield* peer.prints(/connected/)
        const exit = yield* Fiber.interrupt(fiber).pipe(Effect.andThen(Fiber.await(fiber)))
        expect(Exit.hasInterrupts(exit)).toBe(true)
        expect(descriptors()).toEqual(before)
        const [report] = yield* tcpReports(peer)
        expect(report!.ended || report!.error === "ECONNRESET").toBe(true)
        yield* kernel.succeed("ip", "link", "delete", "tap1")
      }
    }).pipe(Effect.provide(Kernel.layer)))

  it.live("nothing when a device cannot be opened after another was", () =>
    Effect.gen(function*() {
      const kernel = yield* Kernel
      const before = descriptors()
      const two = Layer.mergeAll(
        Tap.layer({ name: "tap1", namespace: kernel.path, offload }),
        Tap.layer({ name: "not a name", namespace: kernel.path, offload })
      ).pipe(Layer.provideMerge(Layer.fresh(NetworkStack.layer)))
      for (let round = 0; round < 20; round++) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(two)))
        expect(Exit.isFailure(exit)).toBe(true)
      }
      expect(descriptors()).toEqual(before)
      const { stdout } = yield* kernel.succeed("ip", "-o", "link", "show")
      expect(stdout).not.toContain("tap1")
    }).pipe(Effect.provide(Kernel.layer)))

  it.live("a connection that nobody answers does not hold the program back", () =>
    Effect.gen(function*() {
      const kernel = yield* Kernel
      const before = descriptors()
      const connecting = Effect.scoped(Effect.flatMap(Tcp, (tcp) => tcp.connect({ remote: inet("192.0.2.99", 80) })))
      const fiber = yield* Effect.forkChild(connecting.pipe(Effect.provide(hostIn(kernel.path, offload))))
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(fiber)
      expect(descriptors()).toEqual(before)
    }).pipe(Effect.provide(Kernel.layer)))
}, ON_AND_OFF)
