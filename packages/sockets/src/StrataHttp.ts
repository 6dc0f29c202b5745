/**
 * HTTP over strata's TCP, by way of `node:http`. This module needs Node.
 *
 * Effect's HTTP on Node is `node:http` with a server or an agent of the program's choice. Those of `@strata/sockets/node` are what
 * it takes:
 *
 * ```ts
 * const ServerLive = Layer.unwrap(Effect.map(StrataHttp.makeServer, (server) => NodeHttpServer.layer(() => server, { port: 80 })))
 * const ClientLive = NodeHttpClient.layerNodeHttpNoAgent.pipe(
 *   Layer.provide(Layer.effect(NodeHttpClient.HttpAgent, StrataHttp.makeAgent()))
 * )
 * ```
 *
 * `node:http` waits for the event loop of the real world, so that this does not run in virtual time.
 *
 * @module @strata/sockets/StrataHttp
 */
import type { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Https from "node:https"
import { makeHttp } from "./node/Http.ts"
import { makeHttps } from "./node/Https.ts"
import { makeNet } from "./node/Net.ts"

/** A server for `NodeHttpServer`, which makes it listen; on a stack, and no longer than the scope. */
export const makeServer: Effect.Effect<Http.Server, never, Tcp | Scope.Scope> = Effect.map(
  makeNet,
  (net) => makeHttp(net).createServer()
)

/** Agents for `NodeHttpClient`, which connect by a stack and end with the scope. Names need an `AddressResolver`. */
export const makeAgent = (
  options: Https.AgentOptions = {}
): Effect.Effect<{ readonly http: Http.Agent; readonly https: Https.Agent }, never, Tcp | Scope.Scope> =>
  Effect.flatMap(makeNet, (net) => {
    const agents = {
      http: new (makeHttp(net).Agent)(options),
      https: new (makeHttps(net).Agent)(options)
    }
    return Effect.acquireRelease(Effect.succeed(agents), ({ http, https }) =>
      Effect.sync(() => {
        http.destroy()
        https.destroy()
      }))
  })
