/**
 * `node:http` on a stack: its servers, agents and requests, on connections of strata's.
 *
 * A server is Node's own `http.Server` and only listens elsewhere, and an agent is Node's own and only connects elsewhere, so
 * that all they do, and every error, is what programs know. An `express` application is served like this, and a library that
 * takes an agent is given `agent`:
 *
 * ```ts
 * const { http } = yield* StrataNode
 * http.createServer(express()).listen(80)
 * http.get("http://192.0.2.1/", (response) => response.pipe(process.stdout))
 * ```
 */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { hosted, type Network, ofConnections, type StackOptions } from "../internal/HostedServer.ts"
import type { NetDialOptions } from "./NetSocketOptions.ts"

export interface StrataHttp {
  readonly createServer:
    & typeof Http.createServer
    & ((options: Http.ServerOptions & StackOptions, listener?: Http.RequestListener) => Http.Server)
  /** Agents that connect by the stack, with the options of `http.Agent`. */
  readonly Agent: new(options?: Http.AgentOptions) => Http.Agent
  /** The agent of `request` and `get`, with the settings of Node's `globalAgent`. */
  readonly agent: Http.Agent
  readonly request: typeof Http.request
  readonly get: typeof Http.get
}

/** What Node's `globalAgent` is made with. */
export const GLOBAL_AGENT = { keepAlive: true, scheduling: "lifo", timeout: 5000 } as const

export const makeHttp = (net: Network): StrataHttp => {
  class Agent extends Http.Agent {
    override createConnection(options: Http.ClientRequestArgs): Duplex {
      return net.connect(options as NetDialOptions)
    }
  }
  const agent = new Agent(GLOBAL_AGENT)
  const createServer = (...given: ServerArguments): Http.Server => {
    const server = Http.createServer(...given)
    return hosted(server, net, ofConnections({ noDelay: true, ...optionsOf(given), allowHalfOpen: true }))
  }
  return { createServer: createServer as StrataHttp["createServer"], Agent, agent, ...requestsBy(agent) }
}

type ServerArguments = [options: Http.ServerOptions, listener?: Http.RequestListener]

/** The first argument, which may be left out. */
const optionsOf = ([options]: ServerArguments): Http.ServerOptions => typeof options === "object" ? options : {}

type Given = ReadonlyArray<string | URL | Http.RequestOptions | ((response: Http.IncomingMessage) => void) | undefined>

/** Functions that are called as those of `node:http` and ask by `agent`, unless they are told of another. */
export const requestsBy = (agent: Http.Agent): Pick<StrataHttp, "request" | "get"> => {
  const request = (...given: Given): Http.ClientRequest => {
    const isAddress = typeof given[0] === "string" || given[0] instanceof URL
    const [options, ...rest] = isAddress ? given.slice(1) : given
    const isOptions = typeof options === "object" && options !== null
    const asked = { ...(isOptions ? options as Http.RequestOptions : {}), _defaultAgent: agent }
    const words = [...(isAddress ? [given[0]] : []), asked, ...(isOptions ? rest : [options, ...rest])]
    return Http.request(...words as Parameters<typeof Http.request>)
  }
  const get = (...given: Given): Http.ClientRequest => {
    const asked = request(...given)
    asked.end()
    return asked
  }
  return { request: request as typeof Http.request, get: get as typeof Http.get }
}
