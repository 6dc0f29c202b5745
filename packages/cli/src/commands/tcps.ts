/**
 * A TCP echo server.
 */
import { Tcp } from "@strata/core"
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import type { Local } from "../Format.ts"
import * as Host from "../Host.ts"
import * as Info from "../Info.ts"
import type { HostOptions } from "../Options.ts"

export const tcps = (host: HostOptions, local: Local, info: boolean) =>
  Effect.gen(function*() {
    yield* SimpleServices.echo(local)
    if (info) yield* Info.atEnd((yield* Tcp).info)
    yield* Host.announce(`TCP echo server on ${local.address ?? Host.describe(host)}, port ${local.port}`)
    return yield* Effect.never
  }).pipe(Host.run(host))
