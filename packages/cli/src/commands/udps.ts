/**
 * A UDP echo server.
 */
import * as SimpleServices from "@strata/sockets/SimpleServices"
import * as Effect from "effect/Effect"
import type { Local } from "../Format.ts"
import * as Host from "../Host.ts"
import type { HostOptions } from "../Options.ts"

export const udps = (host: HostOptions, local: Local) =>
  Effect.gen(function*() {
    yield* SimpleServices.echoUdp(local)
    yield* Host.announce(`UDP echo server on ${local.address ?? Host.describe(host)}, port ${local.port}`)
    return yield* Effect.never
  }).pipe(Host.run(host))
