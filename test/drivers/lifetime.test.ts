/**
 * However a device ends, its descriptors and its place on the event loop are
 * given back, once.
 */
import { assert, it } from "@effect/vitest"
import { Devices } from "@strata/core/device/Devices"
import { InvalidAddress, Routing, RoutingError } from "@strata/core/ip/Routing"
import { PacketSocket, Tap } from "@strata/drivers"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { readdirSync, readlinkSync } from "node:fs"
import { Worker } from "node:worker_threads"
import * as BareStack from "../support/bareStack.ts"
import * as Namespace from "../support/namespace.ts"

const ROUNDS = 100

const fixture = new URL("./fixtures/openTap.ts", import.meta.url)

const openDescriptors = () => readdirSync("/proc/self/fd").length
const ownNamespace = () => readlinkSync("/proc/thread-self/ns/net")

/** Both kinds of device, in a namespace that has an interface for each. */
const kinds = Effect.gen(function*() {
  const ns = yield* Namespace.make
  yield* Namespace.veth({ namespace: ns, name: "veth0" }, { namespace: ns, name: "veth1" })
  // Attaching to an interface is much faster than making one.
  yield* ns.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
  return {
    namespace: ns,
    attach: [
      () => Tap.attach({ name: "tap0", namespace: ns.path }),
      () => PacketSocket.attach({ name: "veth0", namespace: ns.path })
    ],
    layers: [
      Tap.layer({ name: "tap0", namespace: ns.path, address: "192.0.2.2/24" }),
      PacketSocket.layer({ name: "veth0", namespace: ns.path, address: "192.0.2.2/24" })
    ]
  }
})

/** Runs `round` again and again; not one descriptor may be left. */
const leavesNothing = <E, R>(round: Effect.Effect<unknown, E, R>, rounds = ROUNDS) =>
  Effect.gen(function*() {
    // What is loaded on first use is none of the device's.
    yield* round
    const descriptors = openDescriptors()
    const namespace = ownNamespace()
    for (let count = 0; count < rounds; count++) yield* round
    assert.strictEqual(openDescriptors(), descriptors)
    assert.strictEqual(ownNamespace(), namespace)
  })

/** Somebody else has the address already. */
const refusingRouting = Layer.succeed(
  Routing,
  {
    addAddress: () => Effect.fail(new RoutingError({ reason: new InvalidAddress({ address: "192.0.2.2" }) }))
  } as Partial<Routing["Service"]> as Routing["Service"]
)

Namespace.describeLinux("a device gives everything back", () => {
  it.effect("when its scope ends", () =>
    Effect.gen(function*() {
      for (const attach of (yield* kinds).attach) yield* leavesNothing(Effect.scoped(attach()))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("its interface too, when it has made one", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      yield* leavesNothing(Effect.scoped(Tap.attach({ namespace: ns.path })), 10)
      assert.notStrictEqual((yield* ns.exec("ip", "link", "show", "tap0")).exitCode, 0)
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("when the stack has a device of that name", () =>
    Effect.gen(function*() {
      for (const attach of (yield* kinds).attach) {
        const { device } = yield* attach()
        yield* leavesNothing(Effect.flip(Effect.scoped(attach())))
        assert.isTrue(device.up)
      }
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("when its address is refused", () =>
    Effect.gen(function*() {
      const devices = yield* Devices
      for (const layer of (yield* kinds).layers) {
        const build = Effect.scoped(Layer.build(Layer.fresh(layer)))
        yield* leavesNothing(
          Effect.flip(build).pipe(
            Effect.map((error) => assert.strictEqual(error._tag, "RoutingError"))
          )
        )
      }
      assert.deepStrictEqual(devices.all(), [])
    }).pipe(Effect.provide(refusingRouting), Effect.provide(BareStack.layer)))

  it.effect("when it cannot be opened", () =>
    leavesNothing(Effect.gen(function*() {
      yield* Effect.flip(Effect.scoped(Tap.attach({ namespace: "/proc/self/exe" })))
      yield* Effect.flip(Effect.scoped(Tap.attach({ namespace: "strata-nowhere" })))
      yield* Effect.flip(Effect.scoped(PacketSocket.attach({ name: "strata-none" })))
    })).pipe(Effect.provide(BareStack.layer)))

  it.effect("when it is interrupted", () =>
    Effect.gen(function*() {
      for (const attach of (yield* kinds).attach) {
        yield* leavesNothing(Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(attach(), Effect.never)), {
            startImmediately: true
          })
          yield* Fiber.interrupt(fiber)
        }))
      }
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("when it is closed by its own receiver", () =>
    Effect.gen(function*() {
      const { namespace } = yield* kinds
      const devices = yield* Devices
      let close: (() => void) | undefined
      yield* devices.handle("ethernet", () => close?.())
      const sender = yield* PacketSocket.attach({ name: "veth1", namespace: namespace.path })
      yield* leavesNothing(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { device } = yield* Scope.provide(
          PacketSocket.attach({ name: "veth0", namespace: namespace.path }),
          scope
        )
        close = () => Effect.runSync(Scope.close(scope, Exit.void))
        for (let sent = 0; sent < 10; sent++) {
          devices.transmit(sender.device, BareStack.packetOf(new Uint8Array(60).fill(0xff)))
        }
        yield* BareStack.eventually(() => !device.up)
      }))
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("when its interface is deleted", () =>
    Effect.gen(function*() {
      const namespace = yield* Namespace.make
      yield* leavesNothing(
        Effect.scoped(Effect.gen(function*() {
          const { device } = yield* Tap.attach({ namespace: namespace.path })
          yield* namespace.succeed("ip", "link", "del", "tap0")
          yield* BareStack.eventually(() => !device.up)
        })),
        5
      )
    }).pipe(Effect.provide(BareStack.layer)))

  it.effect("when its thread is stopped", () =>
    Effect.gen(function*() {
      const namespace = yield* Namespace.make
      yield* leavesNothing(
        Effect.promise(async () => {
          const worker = new Worker(fixture, { workerData: namespace.path })
          await new Promise((resolve, reject) => {
            worker.once("message", resolve)
            worker.once("error", reject)
          })
          await worker.terminate()
        }),
        5
      )
      assert.notStrictEqual((yield* namespace.exec("ip", "link", "show", "tap0")).exitCode, 0)
    }))

  it.effect("so that its process ends by itself, and not before", () =>
    Effect.gen(function*() {
      const namespace = yield* Namespace.make
      const program = [process.execPath, fixture.pathname]
      yield* namespace.succeed(...program, "close")
      const holding = yield* namespace.spawn(...program, "hold")
      yield* holding.prints(/open/)
      const late = yield* Fiber.join(
        yield* Effect.forkChild(
          namespace.execWith({ timeout: 300 }, "sh", "-c", `tail --pid=${holding.pid} -f /dev/null`)
        )
      )
      assert.strictEqual(late.exitCode, 124)
      yield* holding.kill("SIGTERM")
      assert.strictEqual((yield* holding.result).exitCode, 143)
      assert.notStrictEqual((yield* namespace.exec("ip", "link", "show", "tap0")).exitCode, 0)
    }))

  it.effect("its memory included", () =>
    Effect.gen(function*() {
      const namespace = yield* Namespace.make
      const { stdout } = yield* namespace.succeed(process.execPath, fixture.pathname, "leak")
      // The slabs of one device take about a million octets; thirty were opened.
      assert.isBelow(Number(stdout), 10_000_000)
    }))
})
