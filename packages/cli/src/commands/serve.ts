/**
 * The simple services on their ports.
 */
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import { Failure } from "../Exit.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"
import * as Output from "../Output.ts"

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

const serving = (host: HostOptions, ports: Ports) =>
  Effect.gen(function*() {
    const ready = yield* start(ports)
    yield* Output.line(`strata serves on ${Host.describe(host)}: ${ready.join(", ")}`)
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(Host.layer(host)))

export const serve = Effect.fnUntraced(function*(host: HostOptions, ports: Ports) {
  if (Object.values(ports).every((port) => port === 0)) {
    return yield* new Failure({ message: "every service is left out; nothing to serve" })
  }
  return yield* serving(host, ports)
})
