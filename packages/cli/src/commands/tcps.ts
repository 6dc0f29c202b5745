/**
 * A TCP echo server.
 */
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import type { Local } from "../Format.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"

export const tcps = (host: HostOptions, local: Local) =>
  Effect.gen(function*() {
    yield* SimpleServices.echo(local)
    yield* Host.announce(`TCP echo server on ${local.address ?? Host.describe(host)}, port ${local.port}`)
    return yield* Effect.never
  }).pipe(Host.run(host))
