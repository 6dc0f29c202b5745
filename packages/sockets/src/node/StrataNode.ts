/**
 * What programs that are written for Node take, on one stack.
 *
 * ```ts
 * const { net } = yield* StrataNode
 * net.connect({ host: "192.0.2.1", port: 7 })
 * ```
 */
import type { Tcp, Udp } from "@strata/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeDgram, type StrataDgram } from "./Dgram.ts"
import { makeHttp, type StrataHttp } from "./Http.ts"
import { makeHttps, type StrataHttps } from "./Https.ts"
import { makeNet, type StrataNet } from "./Net.ts"
import { makeTls, type StrataTls } from "./Tls.ts"
import { makeUndici, type StrataUndici } from "./Undici.ts"

export class StrataNode extends Context.Service<StrataNode, {
  /** In the shape of `node:net`. */
  readonly net: StrataNet
  /** In the shape of `node:dgram`. */
  readonly dgram: StrataDgram
  /** Servers, agents and requests of `node:http`. */
  readonly http: StrataHttp
  readonly https: StrataHttps
  /** Both sides of `node:tls`. */
  readonly tls: StrataTls
  /** What undici, and so `fetch`, connects by. */
  readonly undici: StrataUndici
}>()("@strata/sockets/StrataNode") {}

/** What is open ends with the Layer. Names need an `AddressResolver`, or `Dns`. */
export const layer: Layer.Layer<StrataNode, never, Tcp | Udp> = Layer.effect(
  StrataNode,
  Effect.gen(function*() {
    const net = yield* makeNet
    const dgram = yield* makeDgram
    return StrataNode.of({
      net,
      dgram,
      http: makeHttp(net),
      https: makeHttps(net),
      tls: makeTls(net),
      undici: makeUndici(net)
    })
  })
)
