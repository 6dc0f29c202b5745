import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, readFileSync } from "node:fs"
import * as Namespace from "./namespace.ts"

/** Whether a process has ended; nobody may have asked for its exit code yet. */
const gone = (pid: number) =>
  !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/status`, "utf8").includes("State:\tZ")

Namespace.describeLinux("namespaces", ["ping"], () => {
  it.effect("run programs and are deleted afterwards", () =>
    Effect.gen(function*() {
      const path = yield* Effect.scoped(Effect.gen(function*() {
        const ns = yield* Namespace.make
        const ping = yield* ns.succeed("ping", "-c", "1", "127.0.0.1")
        assert.match(ping.stdout, /1 received/)
        const odd = yield* ns.execWith({ input: "abc" }, "sh", "-c", "cat; echo error >&2; exit 3")
        assert.deepStrictEqual([odd.exitCode, odd.stdout, odd.stderr], [3, "abc", "error\n"])
        assert.isTrue(existsSync(ns.path))
        return ns.path
      }))
      assert.isFalse(existsSync(path))
    }))

  it.effect("kill what overruns its time, what is interrupted, and what is left running, with its children", () =>
    Effect.gen(function*() {
      const ns = yield* Namespace.make
      const late = yield* ns.execWith({ timeout: 100 }, "sh", "-c", "sleep 100 & echo $!; wait")
      assert.strictEqual(late.exitCode, 124)
      assert.isTrue(gone(Number(late.stdout)))

      const fiber = yield* Effect.forkChild(ns.exec("sleep", "100"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)

      const pid = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* ns.spawn("sh", "-c", "echo ready; cat")
        yield* running.prints(/ready/)
        yield* running.write("hello")
        yield* running.prints(/hello/)
        return running.pid
      }))
      assert.isTrue(gone(pid))
    }))

  it.effect("are connected by veth", () =>
    Effect.gen(function*() {
      const a = yield* Namespace.make
      const b = yield* Namespace.make
      yield* Namespace.veth({ namespace: a, name: "va" }, { namespace: b, name: "vb" })
      yield* a.succeed("ip", "addr", "add", "10.9.0.1/24", "dev", "va")
      yield* b.succeed("ip", "addr", "add", "10.9.0.2/24", "dev", "vb")
      yield* a.succeed("ping", "-c", "1", "-W", "5", "10.9.0.2")
    }))
})
