/**
 * A network that loses packets: the kernel in a namespace of its own, a cable, and a namespace in the middle that
 * bridges it to a TAP for the stack and, by a second cable, to a second kernel: from the first kernel to either it is the
 * same bridge with the same rules.
 *
 * The MTU is 1500 and nothing is offloaded, so that what is lost is one segment each time. Only TCP, or UDP as well, is
 * lost: who has which address stays known.
 */
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { KERNEL, Kernel, type Offload, OFFLOADS_OFF, quiet, STACK } from "./linux.ts"
import * as Namespace from "./namespace.ts"

/** The second kernel. */
export const FAR = "192.0.2.3"

/** What `make` runs besides `ip`. */
export const PROGRAMS = ["ethtool", "nft"]

/** Packets lost, by where they came from. */
export interface Lost {
  readonly fromKernel: number
  readonly fromStack: number
  readonly fromFar: number
}

export interface LossyPath {
  readonly kernel: Namespace.Namespace
  /** Where the stack's `tap0` is. */
  readonly middle: Namespace.Namespace
  /** The second kernel. */
  readonly far: Namespace.Namespace
  /** Loses this share, in whole thousandths, of the packets that come in at each port: of TCP by default. Counts from zero again. */
  readonly lose: (share: number, protocols?: "tcp" | "{ tcp, udp }") => Effect.Effect<void>
  /** What was lost since `lose`. */
  readonly lost: Effect.Effect<Lost>
}

/** The bridge's ports in the middle. */
export const Port = { kernel: "near0", stack: "tap0", far: "far0" } as const

const chain = (name: keyof Lost, port: string, share: number, protocols: string): string => `
  chain ${name} {
    type filter hook ingress device "${port}" priority 0
    meta protocol ip ip protocol ${protocols} numgen random mod 1000 < ${Math.round(share * 1000)} counter drop
  }`

// The first line makes sure that there is a table to delete.
const rules = (share: number, protocols: string): string => `
table netdev loss
delete table netdev loss
table netdev loss {${chain("fromKernel", Port.kernel, share, protocols)}
${chain("fromStack", Port.stack, share, protocols)}
${chain("fromFar", Port.far, share, protocols)}
}
`

/** A namespace whose `cable0` ends at that port of the bridge. */
const attach = Effect.fnUntraced(function*(middle: Namespace.Namespace, port: string, address: string) {
  const kernel = yield* Namespace.make
  yield* quiet(kernel)
  yield* Namespace.veth({ namespace: kernel, name: "cable0" }, { namespace: middle, name: port })
  yield* kernel.succeed("ethtool", "-K", "cable0", ...OFFLOADS_OFF)
  yield* middle.succeed("ethtool", "-K", port, ...OFFLOADS_OFF)
  yield* kernel.succeed("ip", "addr", "add", `${address}/24`, "dev", "cable0")
  return kernel
})

/** Loses nothing yet. */
export const make: Effect.Effect<LossyPath, never, Scope.Scope> = Effect.gen(function*() {
  const middle = yield* Namespace.make
  yield* quiet(middle)
  const kernel = yield* attach(middle, Port.kernel, KERNEL)
  const far = yield* attach(middle, Port.far, FAR)
  yield* middle.succeed("ip", "tuntap", "add", "mode", "tap", "name", Port.stack)
  yield* middle.succeed("ethtool", "-K", Port.stack, "gro", "off")
  yield* middle.succeed("ip", "link", "add", "bridge0", "type", "bridge", "stp_state", "0")
  for (const port of Object.values(Port)) yield* middle.succeed("ip", "link", "set", port, "master", "bridge0", "up")
  yield* middle.succeed("ip", "link", "set", "bridge0", "up")
  const lose = Effect.fnUntraced(function*(share: number, protocols: string = "tcp") {
    const { exitCode, stderr } = yield* middle.execWith({ input: rules(share, protocols) }, "nft", "-f", "-")
    if (exitCode !== 0) return yield* Effect.die(new Error(stderr))
  })
  yield* lose(0)
  return {
    kernel,
    middle,
    far,
    lose,
    lost: Effect.map(middle.succeed("nft", "list", "table", "netdev", "loss"), ({ stdout }) => {
      const [fromKernel, fromStack, fromFar] = [...stdout.matchAll(/counter packets (\d+)/g)].map((match) =>
        Number(match[1])
      )
      return { fromKernel: fromKernel!, fromStack: fromStack!, fromFar: fromFar! }
    })
  }
})

/** The path that a stack is at the end of. */
export class Path extends Context.Service<Path, LossyPath>()("test/Path") {}

/** A path and a stack at its end, of their own, so that counters begin at zero. */
export const hostWith = (offload: Offload) =>
  Layer.unwrap(
    Effect.map(
      Path,
      ({ middle }) => Tap.layer({ name: Port.stack, address: `${STACK}/24`, namespace: middle.path, offload })
    )
  ).pipe(
    Layer.provideMerge(NetworkStack.layer),
    Layer.provideMerge(
      Layer.effectContext(
        Effect.map(make, (path) => Context.make(Kernel, path.kernel).pipe(Context.add(Path, path)))
      )
    )
  )
