/**
 * The same programs of Node on the kernel's loopback and on strata: what holds for one has to hold for the other.
 */
import type { StrataNode } from "@strata/sockets/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { buildConnector } from "undici"
import { nodeHosts, RIGHT } from "./nodeHosts.ts"

/** What programs take from `StrataNode`, or from Node itself. */
export type Side = Pick<StrataNode.StrataNode["Service"], "net" | "http" | "https" | "tls" | "undici">

export interface World {
  readonly client: Side
  readonly server: Side
  /** Where servers listen. */
  readonly host: string
  /** Where clients come from. */
  readonly from: string
  readonly leave: () => Promise<void>
}

const kernelSide = {
  net: Net,
  http: { ...Http, agent: Http.globalAgent },
  https: { ...Https, agent: Https.globalAgent },
  tls: Tls,
  undici: { connect: buildConnector({}), buildConnector }
} as unknown as Side
const kernel = async (): Promise<World> => ({
  client: kernelSide,
  server: kernelSide,
  host: "127.0.0.1",
  from: "127.0.0.1",
  leave: async () => {}
})

/** Where servers of all worlds listen. */
export const HOSTS = ["127.0.0.1", RIGHT]

/** Two hosts on a cable, in real time. */
const strata = async (): Promise<World> => {
  const scope = Scope.makeUnsafe()
  const { left, right } = await Effect.runPromise(Scope.provide(nodeHosts(), scope))
  return {
    client: left.node,
    server: right.node,
    host: right.address,
    from: left.address,
    leave: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export const worlds: ReadonlyArray<readonly [name: string, enter: () => Promise<World>]> = [
  ["the kernel", kernel],
  ["strata", strata]
]
