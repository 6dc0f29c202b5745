/**
 * The text of `/etc/resolv.conf` (resolv.conf(5)), as options.
 *
 * What is not understood is passed over, as is usual there: other keywords and options, and name servers that cannot be
 * reached over IPv4.
 */
import * as Duration from "effect/Duration"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import { type InetAddressV4, isInetAddressV4 } from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** Name servers beyond these are not asked. */
const MAX_SERVERS = 3
const MAX_NDOTS = 15
const MAX_SECONDS = 30
const MAX_ATTEMPTS = 5

/** What the text says; what it does not say is left out. */
export interface ResolvConf {
  nameServers?: ReadonlyArray<InetAddressV4>
  search?: ReadonlyArray<Host.DomainName>
  ndots?: number
  timeout?: Duration.Duration
  tries?: number
  rotate?: boolean
  edns?: boolean
  tcp?: boolean
}

export const parse = (text: string): ResolvConf => {
  const conf: ResolvConf = {}
  const servers: Array<InetAddressV4> = []
  for (const line of text.split(/\r?\n/)) {
    if (/^[#;]/.test(line)) continue
    const [keyword, ...values] = line.trim().split(/\s+/)
    if (keyword === "nameserver") servers.push(...parseServer(values[0]))
    // Of several such lines the last counts.
    else if (keyword === "search") conf.search = parseNames(values)
    else if (keyword === "domain") conf.search = parseNames(values.slice(0, 1))
    else if (keyword === "options") { for (const option of values) parseOption(conf, option) }
  }
  if (servers.length > 0) conf.nameServers = servers.slice(0, MAX_SERVERS)
  return conf
}

const parseServer = (value: string | undefined): ReadonlyArray<InetAddressV4> => {
  const server = Dns.nameServerFromString(value ?? "")
  return Result.isSuccess(server) && isInetAddressV4(server.success) ? [server.success] : []
}

const parseNames = (values: ReadonlyArray<string>): ReadonlyArray<Host.DomainName> =>
  values.flatMap((value) =>
    Result.match(Host.domainNameFromString(value), { onFailure: () => [], onSuccess: (name) => [name] })
  )

const parseOption = (conf: ResolvConf, option: string): void => {
  const [name, value] = option.split(":")
  const number = /^\d+$/.test(value ?? "") ? Number(value) : undefined
  if (name === "rotate") conf.rotate = true
  else if (name === "edns0") conf.edns = true
  else if (name === "use-vc") conf.tcp = true
  else if (number === undefined) return
  else if (name === "ndots") conf.ndots = Math.min(number, MAX_NDOTS)
  else if (name === "timeout") conf.timeout = Duration.seconds(Math.min(Math.max(number, 1), MAX_SECONDS))
  else if (name === "attempts") conf.tries = Math.min(Math.max(number, 1), MAX_ATTEMPTS)
}
