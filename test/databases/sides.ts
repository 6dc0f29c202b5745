/**
 * Both ways to the servers, for a process in the namespace that has a cable to theirs: the kernel's sockets by the cable, and
 * strata's by the `tap0` of the servers' namespace.
 */
import { NetworkStack, type Tcp } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeNet from "node:net"
import { BY_CABLE } from "../support/databases.ts"
import { KERNEL, STACK } from "../support/linux.ts"
import type * as Namespace from "../support/namespace.ts"
import type { Side } from "./Subject.ts"

/** A stack on the `tap0` of that namespace. */
export const Host = (
  server: Namespace.Namespace,
  offload?: Tap.Options["offload"]
): Layer.Layer<StrataNode.StrataNode | Tcp> =>
  StrataNode.layer.pipe(
    Layer.provideMerge(Tap.layer({ name: "tap0", address: `${STACK}/24`, namespace: server.path, offload })),
    Layer.provideMerge(NetworkStack.layer),
    Layer.orDie
  )

export const sides: Effect.Effect<Readonly<Record<Side["name"], Side>>, never, StrataNode.StrataNode> = Effect.map(
  StrataNode.StrataNode,
  ({ net }) => ({
    kernel: { name: "kernel", net: NodeNet, host: BY_CABLE },
    strata: { name: "strata", net, host: KERNEL }
  })
)
