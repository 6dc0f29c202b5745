/**
 * Three runners of Effect's cluster over strata, in virtual time: one is cut off, the others take its entities over, and
 * it has its share again once the network is whole.
 *
 * The storage of the cluster, a database elsewhere, is reached by all of them at all times.
 */
import { assert, describe, it } from "@effect/vitest"
import { Distribution } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { StrataClusterSocket } from "@strata/sockets"
import {
  Entity,
  MachineId,
  MessageStorage,
  type Runner,
  RunnerAddress,
  RunnerHealth,
  Runners,
  RunnerStorage,
  type ShardId,
  ShardingConfig,
  SocketRunner
} from "effect/cluster"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { Rpc, RpcSerialization } from "effect/rpc"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

const Where = Entity.make("Where", [Rpc.make("ask", { success: Schema.String })])

/** What a database would keep: who is there, and who has which shard. */
const makeStorage = () => {
  const runners = new Map<string, readonly [Runner.Runner, boolean]>()
  const owners = new Map<string, readonly [ShardId.ShardId, owner: string]>()
  let machines = 0
  const owned = (address: RunnerAddress.RunnerAddress) =>
    [...owners.values()].filter(([, owner]) => owner === `${address}`).map(([shard]) => shard)
  return RunnerStorage.RunnerStorage.of({
    register: (runner, healthy) =>
      Effect.sync(() => {
        runners.set(`${runner.address}`, [runner, healthy])
        return MachineId.make(++machines)
      }),
    unregister: (address) => Effect.sync(() => void runners.delete(`${address}`)),
    getRunners: Effect.sync(() => [...runners.values()]),
    setRunnerHealth: (address, healthy) =>
      Effect.sync(() => {
        const known = runners.get(`${address}`)
        if (known !== undefined) runners.set(`${address}`, [known[0], healthy])
      }),
    acquire: (address, shards) =>
      Effect.sync(() => {
        for (const shard of shards) if (!owners.has(`${shard}`)) owners.set(`${shard}`, [shard, `${address}`])
        return owned(address)
      }),
    refresh: (address) => Effect.sync(() => owned(address)),
    release: (address, shard) =>
      Effect.sync(() => {
        if (owners.get(`${shard}`)?.[1] === `${address}`) owners.delete(`${shard}`)
      }),
    releaseAll: (address) => Effect.sync(() => owned(address).forEach((shard) => owners.delete(`${shard}`)))
  })
}

type Ask = (id: string) => Effect.Effect<string>

/** Runs a runner on the host, and gives how to ask entities from there. */
const runner = Effect.fnUntraced(function*(host: Host, storage: RunnerStorage.RunnerStorage["Service"]) {
  const ready = yield* Deferred.make<Ask>()
  const health = RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc))
  const Cluster = SocketRunner.layer.pipe(
    Layer.provide(health),
    Layer.provide([StrataClusterSocket.layerSocketServer, StrataClusterSocket.layerClientProtocol]),
    Layer.provideMerge(MessageStorage.layerNoop),
    Layer.provide(Layer.succeed(RunnerStorage.RunnerStorage, storage)),
    Layer.provideMerge(ShardingConfig.layer({
      runnerAddress: Option.some(RunnerAddress.make(host.name, 34_431)),
      runnerListenAddress: Option.some(RunnerAddress.make("0.0.0.0", 34_431)),
      shardsPerGroup: 30,
      runnerHealthCheckInterval: "2 seconds"
    })),
    Layer.provide(RpcSerialization.layerNdjson)
  )
  const program = Effect.gen(function*() {
    const client = yield* Where.client
    yield* Deferred.succeed(
      ready,
      (id) =>
        client(id).ask().pipe(Effect.timeout("5 seconds"), Effect.retry(Schedule.spaced("1 second")), Effect.orDie)
    )
    return yield* Effect.never
  })
  const Entities = Where.toLayer({ ask: () => Effect.succeed(host.name) })
  yield* host.fork(program.pipe(Effect.provide(Entities.pipe(Layer.provideMerge(Cluster)))))
  return yield* Deferred.await(ready)
})

const ids = Array.from({ length: 30 }, (_, index) => `entity-${index}`)

/** Who answers for the entities. */
const answering = (ask: Ask) =>
  Effect.map(Effect.forEach(ids, ask, { concurrency: "unbounded" }), (hosts) => [...new Set(hosts)].toSorted())

const course = Effect.gen(function*() {
  const network = yield* Network
  const storage = makeStorage()
  const hosts = yield* Effect.forEach(["a", "b", "c"] as const, (name) => network.host(name))
  const [a, b, c] = hosts as [Host, Host, Host]
  const lan = yield* network.lan(hosts, { conditions: { latency: Distribution.constant(1) } })
  const [ask] = yield* Effect.forEach(hosts, (host) => runner(host, storage))
  yield* Effect.sleep("30 seconds")
  const whole = yield* answering(ask!)
  yield* lan.partition([a, b], [c])
  yield* Effect.sleep("60 seconds")
  const parted = yield* answering(ask!)
  yield* lan.heal
  yield* Effect.sleep("60 seconds")
  const healed = yield* answering(ask!)
  return { whole, parted, healed }
})

/** Without what runners log. */
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

describe("a cluster of three", () => {
  it.effect("gives away the entities of a runner that is cut off, and back again", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* quietly(Simulation.run(course, { seed: 3 })), {
        whole: ["a", "b", "c"],
        parted: ["a", "b"],
        healed: ["a", "b", "c"]
      })
    }))
})
