/**
 * `node:https` on a stack: as `Http.ts`, with TLS between. A server's options are those of `https.createServer`, and an agent's
 * those of `https.Agent`, which keeps sessions as ever.
 */
import type { RequestListener } from "node:http"
import * as Https from "node:https"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"
import type { Network, StackOptions } from "../internal/HostedServer.ts"
import { joined } from "../internal/TlsOver.ts"
import { GLOBAL_AGENT, requestsBy } from "./Http.ts"
import { hostedTls, ofConnection } from "./Tls.ts"

export interface StrataHttps {
  readonly createServer:
    & typeof Https.createServer
    & ((options: Https.ServerOptions & StackOptions, listener?: RequestListener) => Https.Server)
  /** Agents that connect by the stack, with the options of `https.Agent`. */
  readonly Agent: new(options?: Https.AgentOptions) => Https.Agent
  /** The agent of `request` and `get`, with the settings of Node's `globalAgent`. */
  readonly agent: Https.Agent
  readonly request: typeof Https.request
  readonly get: typeof Https.get
}

export const makeHttps = (net: Network): StrataHttps => {
  class Agent extends Https.Agent {
    override createConnection(options: Https.RequestOptions): Duplex | null | undefined {
      const below = net.connect(ofConnection(options))
      // The agent of Node looks for a session, and remembers new ones.
      const above = super.createConnection({ ...options, socket: below } as Https.RequestOptions)
      return above instanceof TLSSocket ? joined(above, below) : above
    }
  }
  const agent = new Agent(GLOBAL_AGENT)
  const createServer = (...given: Parameters<typeof Https.createServer>): Https.Server =>
    hostedTls(Https.createServer(...given), net, { noDelay: true, ...given[0] })
  return { createServer: createServer as StrataHttps["createServer"], Agent, agent, ...requestsBy(agent) }
}
