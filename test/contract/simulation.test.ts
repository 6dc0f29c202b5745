/**
 * The contract over strata, between two hosts in virtual time.
 */
import { describe, it } from "@effect/vitest"
import { type Conditions, Distribution, Loss } from "@strata/drivers"
import { Network, Simulation } from "@strata/simulation"
import * as Effect from "effect/Effect"
import { formatIp } from "effect/net/NetAddress"
import { datagrams } from "./datagrams.ts"
import { type Case, Ends } from "./Ends.ts"
import { side } from "./strata.ts"
import { streams } from "./streams.ts"

const simulated = ({ program }: Case, conditions: Partial<Conditions> = {}) =>
  Simulation.run(Effect.gen(function*() {
    const network = yield* Network
    const client = yield* network.host("client")
    const server = yield* network.host("server")
    const hole = yield* network.host("hole")
    const wire = yield* network.wire(client, server, { latency: Distribution.constant(1), ...conditions })
    const [blackHole] = yield* Effect.map(network.wire(client, hole), ({ addresses }) =>
      [formatIp(addresses[1])] as const)
    yield* hole.cutOff
    const [here, there] = [formatIp(wire.addresses[0]), formatIp(wire.addresses[1])] as const
    const ends = Ends.of({
      client: yield* client.run(side(here)),
      server: yield* server.run(side(there)),
      blackHole,
      unroutable: "198.51.100.1",
      broadcast: here.replace(/\d+$/, "255")
    })
    yield* Effect.provideService(program, Ends, ends)
  }))

describe.each([["streams", streams], ["datagrams", datagrams]] as const)("simulation, %s", (_, cases) => {
  for (const each of cases) it.effect(each.name, () => simulated(each))
})

describe("simulation, streams through loss and reordering", () => {
  const conditions = { loss: Loss.bernoulli(0.03), latency: Distribution.around(5, 4) }
  for (const each of streams) it.effect(each.name, () => simulated(each, conditions))
})
