/**
 * The simple services on their ports.
 */
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import { Failure } from "../Exit.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"

/** Port 0 leaves a service out. */
export interface Ports {
  readonly echo: number
  readonly discard: number
  readonly daytime: number
  readonly chargen: number
}

const start = Effect.fnUntraced(function*(ports: Ports) {
  const ready: Array<string> = []
  if (ports.echo > 0) {
    yield* SimpleServices.echo({ port: ports.echo })
    yield* SimpleServices.echoUdp({ port: ports.echo })
    ready.push(`echo ${ports.echo} (tcp, udp)`)
  }
  const { chargen, daytime, discard } = SimpleServices
  for (const [name, service] of Object.entries({ discard, daytime, chargen })) {
    const port = ports[name as keyof Ports]
    if (port === 0) continue
    yield* service({ port })
    ready.push(`${name} ${port} (tcp)`)
  }
  return ready
})

/** Every service has a TCP port, and no two can have the same. */
const checkPorts = Effect.fnUntraced(function*(ports: Ports) {
  const owners = new Map<number, string>()
  for (const [name, port] of Object.entries(ports)) {
    const owner = owners.get(port)
    if (port !== 0 && owner !== undefined) {
      return yield* new Failure({ message: `--${owner} and --${name} cannot both have TCP port ${port}; change one` })
    }
    owners.set(port, name)
  }
})

/** A host without any service is still one that answers ping. */
const announcement = (where: string, ready: ReadonlyArray<string>): string =>
  ready.length === 0 ? `strata answers ping on ${where}` : `strata serves on ${where}: ${ready.join(", ")}`

const serving = Effect.fnUntraced(function*(host: HostOptions, ports: Ports) {
  yield* Host.announce(announcement(Host.describe(host), yield* start(ports)))
  return yield* Effect.never
})

export const serve = (host: HostOptions, ports: Ports) =>
  Effect.andThen(checkPorts(ports), serving(host, ports).pipe(Host.run(host)))
