/**
 * Two stacks of one process, joined by a wire in real time, as Node's streams need it: programs of Node on both.
 */
import { NetworkStack, Tcp, type Udp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { Loopback, Wire } from "@strata/drivers"
import { StrataNode } from "@strata/sockets/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const LEFT = "192.0.2.1"
export const RIGHT = "192.0.2.2"

export interface NodeHost {
  readonly address: string
  readonly node: StrataNode.StrataNode["Service"]
  readonly context: Context.Context<Tcp | Udp | StrataNode.StrataNode>
  /** Those that this host has opened. */
  readonly opened: ReadonlyArray<Connection>
}

/** TCP that remembers what it has opened. */
const recording = (opened: Array<Connection>) =>
  Layer.effect(
    Tcp,
    Effect.map(Tcp, (tcp) =>
      Tcp.of({
        ...tcp,
        open: (options) => Effect.tap(tcp.open(options), (connection) => Effect.sync(() => opened.push(connection)))
      }))
  )

const makeHost = Effect.fnUntraced(function*(end: Wire.End, address: string) {
  const opened: Array<Connection> = []
  const devices = Layer.mergeAll(Loopback.layer, Wire.layer(end, { address: `${address}/24` }))
  const stack = Layer.provideMerge(recording(opened), devices.pipe(Layer.provideMerge(NetworkStack.layer)))
  const context = yield* Layer.build(Layer.fresh(StrataNode.layer.pipe(Layer.provideMerge(stack))))
  return { address, node: Context.get(context, StrataNode.StrataNode), context, opened }
})

/** They end with the scope. */
export const nodeHosts = Effect.fnUntraced(function*(options: Wire.Options = {}) {
  const wire = Wire.make(options)
  return { wire, left: yield* makeHost(wire.left, LEFT), right: yield* makeHost(wire.right, RIGHT) }
})

export interface NodeHosts {
  readonly wire: Wire.Wire
  readonly left: NodeHost
  readonly right: NodeHost
}

/** A test of programs that know no Effect. */
export const between =
  (program: (hosts: NodeHosts) => Promise<void>, options?: Wire.Options): () => Promise<void> => () =>
    Effect.runPromise(Effect.scoped(
      Effect.flatMap(nodeHosts(options), (hosts) => Effect.promise(() => program(hosts)))
    ))
