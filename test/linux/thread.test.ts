/**
 * The kernel receives what the stack sends in a thread of its own, as long as that is many small frames.
 */
import { assert, it, layer } from "@effect/vitest"
import { NetworkStack, Statistics, Tcp } from "@strata/core"
import { Native, Tap } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { fileURLToPath } from "node:url"
import { hostWith, KERNEL, Kernel, MAC, STACK, tcpPeer } from "../support/linux.ts"
import { describeLinux, make, type Namespace } from "../support/namespace.ts"
import { inet } from "../support/Probe.ts"

/** What leaves is small frames, as many as there are. */
const SMALL = { vnet: false } as const
const MiB = 1024 * 1024

const attribute = "/sys/class/net/tap0/threaded"
const threaded = (kernel: Namespace) => Effect.map(kernel.succeed("cat", attribute), ({ stdout }) => stdout.trim())
const turn = (kernel: Namespace, to: "0" | "1") => kernel.succeed("sh", "-c", `echo ${to} > ${attribute}`)

const switches = Effect.map(
  Effect.flatMap(Statistics, ({ snapshot }) => snapshot),
  (counters) => counters["device.tap0.threadSwitches"] ?? 0
)

/** Asks until the answer is that. */
const becomes = (kernel: Namespace, wanted: string) =>
  threaded(kernel).pipe(
    Effect.repeat({ until: (value) => value === wanted, schedule: Schedule.spaced(20) }),
    Effect.timeout("20 seconds")
  )

/** Sends to a program of the kernel's as long as it is not interrupted. */
const bulk = Effect.fnUntraced(function*(kernel: Namespace, port: number) {
  const peer = yield* tcpPeer(kernel, { listen: port, end: "afterReceiving" })
  yield* peer.prints(/listening/)
  const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, port) })
  const chunk = new Uint8Array(MiB)
  return yield* Effect.forkScoped(Effect.forever(connection.write(chunk)))
})

/** Sends that much. */
const some = Effect.fnUntraced(function*(kernel: Namespace, port: number, octets: number) {
  const sending = yield* bulk(kernel, port)
  const { counter } = yield* Statistics
  const sent = counter("device.tap0.octetsWritten")
  const enough = sent.value + octets
  yield* Effect.sleep(10).pipe(Effect.repeat({ until: () => sent.value > enough }))
  yield* Fiber.interrupt(sending)
}, Effect.scoped)

/** One request and one answer after the other. */
const exchange = Effect.fnUntraced(function*(kernel: Namespace, times: number) {
  yield* kernel.succeed("ping", "-q", "-c", String(times), "-i", "0.002", STACK)
})

const stack = (kernel: Namespace) =>
  Tap.layer({ name: "tap0", address: `${STACK}/24`, mac: MAC, namespace: kernel.path, offload: SMALL }).pipe(
    Layer.provideMerge(NetworkStack.layer)
  )

describeLinux("Linux, a thread of the kernel's", ["ping", "nsenter", "setpriv"], () => {
  layer(hostWith(SMALL), { excludeTestServices: true, timeout: "60 seconds" })((test) => {
    test.effect("comes with a bulk transfer in small segments, and goes when there are only single frames", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        assert.strictEqual(yield* threaded(kernel), "0")
        const sending = yield* bulk(kernel, 9000)
        yield* becomes(kernel, "1")
        assert.strictEqual((yield* switches) % 2, 1)
        yield* Fiber.interrupt(sending)
        yield* exchange(kernel, 400)
        yield* becomes(kernel, "0")
        assert.strictEqual((yield* switches) % 2, 0)
      }))
  })

  layer(hostWith(true), { excludeTestServices: true, timeout: "60 seconds" })((test) => {
    test.effect("is not needed for segments of 64 KiB, nor for pings", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* exchange(kernel, 400)
        yield* some(kernel, 9000, 100 * MiB)
        assert.strictEqual(yield* threaded(kernel), "0")
        assert.strictEqual(yield* switches, 0)
      }))
  })

  layer(hostWith({ ...SMALL, thread: false }), { excludeTestServices: true, timeout: "60 seconds" })((test) => {
    test.effect("does not come where it is not wanted", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* some(kernel, 9000, 30 * MiB)
        assert.strictEqual(yield* threaded(kernel), "0")
        assert.strictEqual(yield* switches, 0)
        // There is none to be had.
        const refused = yield* kernel.exec("sh", "-c", `echo 1 > ${attribute}`)
        assert.notStrictEqual(refused.exitCode, 0)
      }))
  })

  layer(Kernel.layer, { excludeTestServices: true, timeout: "60 seconds" })((test) => {
    test.effect("is gone when the device is closed, and the interface stays", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* Effect.gen(function*() {
          yield* bulk(kernel, 9000)
          yield* becomes(kernel, "1")
        }).pipe(Effect.scoped, Effect.provide(stack(kernel)))
        assert.strictEqual(yield* threaded(kernel), "0")
      }))

    test.effect("is left alone once somebody else has switched it off", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* Effect.gen(function*() {
          const sending = yield* bulk(kernel, 9004)
          yield* becomes(kernel, "1")
          yield* turn(kernel, "0")
          yield* Fiber.interrupt(sending)
          yield* exchange(kernel, 400)
          yield* some(kernel, 9005, 50 * MiB)
          assert.strictEqual(yield* threaded(kernel), "0")
          assert.strictEqual(yield* switches, 1)
        }).pipe(Effect.scoped, Effect.provide(stack(kernel)))
      }))

    // An interface that stays keeps what somebody else has chosen, so this is the last one.
    test.effect("is left alone once somebody else has switched it on", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* Effect.gen(function*() {
          yield* turn(kernel, "1")
          yield* some(kernel, 9001, 50 * MiB)
          yield* exchange(kernel, 400)
          assert.strictEqual(yield* threaded(kernel), "1")
          // Nor does it come back when that is over.
          yield* turn(kernel, "0")
          yield* some(kernel, 9002, 50 * MiB)
          assert.strictEqual(yield* threaded(kernel), "0")
          yield* turn(kernel, "1")
          assert.strictEqual(yield* switches, 0)
        }).pipe(Effect.provide(stack(kernel)))
        assert.strictEqual(yield* threaded(kernel), "1")
        // The next user of the interface finds it so.
        yield* Effect.gen(function*() {
          yield* some(kernel, 9003, 50 * MiB)
          assert.strictEqual(yield* switches, 0)
        }).pipe(Effect.provide(stack(kernel)))
        assert.strictEqual(yield* threaded(kernel), "1")
      }))
  })

  it.live("is gone when its process exits without closing anything", () =>
    Effect.gen(function*() {
      const kernel = yield* make
      yield* kernel.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
      yield* kernel.succeed("ip", "link", "set", "tap0", "up")
      const program = fileURLToPath(new URL("../support/peers/switching.ts", import.meta.url))
      const running = yield* kernel.spawn(process.execPath, program, "tap0")
      yield* becomes(kernel, "1")
      yield* running.write("exit\n")
      assert.strictEqual((yield* running.result).exitCode, 3)
      assert.strictEqual(yield* threaded(kernel), "0")
    }).pipe(Effect.scoped))

  it.live("finds its switch without a mount of its own, unless another namespace is what is mounted", () =>
    Effect.gen(function*() {
      const kernel = yield* make
      const other = yield* make
      // An interface of the same name, and as a rule of the same number.
      yield* other.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
      const open = [
        process.execPath,
        fileURLToPath(new URL("../support/peers/capabilities.ts", import.meta.url)),
        "tap0"
      ]
      const unprivileged = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
      const found = (...command: ReadonlyArray<string>) =>
        Effect.map(other.succeed(...command), ({ stdout }) => (Number(stdout) & Native.Capability.thread) !== 0)
      const within = ["nsenter", `--net=${kernel.path}`]
      assert.isTrue(yield* found(...within, ...open))
      assert.isFalse(yield* found(...within, ...unprivileged, ...open))
      yield* other.succeed("ip", "link", "del", "tap0")
      assert.isTrue(yield* found(...unprivileged, ...open))
    }).pipe(Effect.scoped))
})
