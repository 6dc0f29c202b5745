/**
 * TCP between the stack and the kernel over a network that loses packets: the
 * kernel's namespace, a cable, and a namespace in the middle that bridges it to
 * the TAP and drops 2 % of what comes in from either side.
 */
import { expect, layer } from "@effect/vitest"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KERNEL, Kernel, quiet, STACK } from "../support/linux.ts"
import { receiveFromKernel, sendToKernel } from "../support/linuxTransfer.ts"
import * as Namespace from "../support/namespace.ts"

const MiB = 1024 * 1024

/** The namespace in the middle. */
class Middle extends Context.Service<Middle, Namespace.Namespace>()("test/Middle") {}

const RULES = `
table netdev loss {
  chain fromKernel {
    type filter hook ingress device "cable1" priority 0
    meta protocol ip numgen random mod 100 < 2 counter drop
  }
  chain fromStack {
    type filter hook ingress device "tap0" priority 0
    meta protocol ip numgen random mod 100 < 2 counter drop
  }
}
`

const Network = Layer.effectContext(Effect.gen(function*() {
  const kernel = yield* Namespace.make
  const middle = yield* Namespace.make
  yield* quiet(kernel)
  yield* quiet(middle)
  yield* Namespace.veth({ namespace: kernel, name: "cable0" }, { namespace: middle, name: "cable1" })
  // Each packet is lost by itself, not as part of one of 64 KiB.
  yield* kernel.succeed("ethtool", "-K", "cable0", "tso", "off", "gso", "off", "gro", "off")
  yield* middle.succeed("ethtool", "-K", "cable1", "gro", "off")
  yield* kernel.succeed("ip", "addr", "add", `${KERNEL}/24`, "dev", "cable0")
  yield* middle.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
  yield* middle.succeed("ip", "link", "add", "bridge0", "type", "bridge", "stp_state", "0")
  for (const port of ["cable1", "tap0"]) yield* middle.succeed("ip", "link", "set", port, "master", "bridge0")
  for (const port of ["tap0", "bridge0"]) yield* middle.succeed("ip", "link", "set", port, "up")
  const { exitCode, stderr } = yield* middle.execWith({ input: RULES }, "nft", "-f", "-")
  if (exitCode !== 0) return yield* Effect.die(new Error(stderr))
  return Context.make(Kernel, kernel).pipe(Context.add(Middle, middle))
}))

const Lossy = Layer.unwrap(
  Effect.map(Middle, (middle) => Tap.layer({ name: "tap0", address: `${STACK}/24`, namespace: middle.path }))
).pipe(
  Layer.provideMerge(NetworkStack.layer),
  Layer.provideMerge(Network)
)

/** Packets that the middle dropped in each direction. */
const lost = Effect.gen(function*() {
  const { stdout } = yield* (yield* Middle).succeed("nft", "list", "table", "netdev", "loss")
  return [...stdout.matchAll(/counter packets (\d+)/g)].map((match) => Number(match[1]))
})

Namespace.describeLinux("Linux, TCP over a network that loses 2 % each way", ["ethtool", "nft"], () => {
  layer(Lossy, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    // Most of the time both wait for a retransmission timer, so they may as well wait together.
    it.effect("100 MiB from the kernel and 100 MiB to it arrive as they were sent", () =>
      Effect.gen(function*() {
        yield* Effect.all([receiveFromKernel(100 * MiB), sendToKernel(100 * MiB)], {
          concurrency: "unbounded",
          discard: true
        })
        expect(Math.min(...yield* lost)).toBeGreaterThan(1000)
      }), 240_000)
  })
})
