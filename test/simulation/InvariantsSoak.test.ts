import { describe, it } from "@effect/vitest"
import { Icmp, Tcp, Udp } from "@strata/core"
import type { Connection } from "@strata/core/tcp/Tcp"
import { fromIpv4, toInet, toIpv4 } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { Effect, Random } from "effect"

const below = (limit: number) => Random.nextBetween(0, limit).pipe(Effect.map(Math.floor))
const oneOf = <A>(choices: ReadonlyArray<A>) => Effect.map(below(choices.length), (index) => choices[index]!)
const address = (host: Host) => fromIpv4(host.addresses()[0]!)

/** A few steps on a connection, in no sensible order, some at the same time, some given up. */
const misbehave = Effect.fnUntraced(function*(connection: Connection) {
  const step = Effect.gen(function*() {
    const act = yield* oneOf<Effect.Effect<unknown, unknown>>([
      connection.write(new Uint8Array(yield* below(100_000)).fill(yield* below(256))),
      connection.write(new Uint8Array(yield* below(100)).fill(yield* below(256))),
      connection.read,
      connection.read,
      Effect.forever(connection.read),
      connection.closeWrite,
      connection.abort,
      connection.close,
      connection.established,
      connection.closed,
      Effect.sleep(yield* below(5000))
    ])
    yield* Effect.ignore(Effect.timeoutOption(act, yield* below(2000)))
  })
  yield* Effect.forEach(Array.from({ length: yield* below(8) }), () => step, {
    discard: true,
    concurrency: yield* oneOf([1, 3])
  })
})

const SETTINGS = { retransmissions: 4, synRetransmissions: 2 }

/** Visits of any kind to another host. */
const visit = Effect.fnUntraced(function*(to: Host) {
  const tcp = yield* Tcp
  const options = {
    sendBuffer: 1000 + (yield* below(60_000)),
    receiveBuffer: 1000 + (yield* below(60_000)),
    settings: { ...SETTINGS, nagle: yield* oneOf([true, false]) }
  }
  // Few ports, so that they are used again before TIME-WAIT is over.
  const localPort = yield* oneOf([undefined, undefined, 4000 + (yield* below(4))])
  const remote = toInet(address(to), yield* oneOf([7, 7, 7, 8]))
  const kind = yield* below(12)
  if (kind === 0) {
    const port = yield* (yield* Udp).bind()
    return yield* port.send(new Uint8Array(yield* below(9000)), toInet(address(to), 9))
  }
  if (kind === 1) return yield* (yield* Icmp).ping(toIpv4(address(to)))
  if (kind === 2) {
    // Perhaps the other one does the same, and both open at once.
    const local = { port: 5000 }
    return yield* Effect.flatMap(
      tcp.open({ ...options, mode: "active", local, foreign: toInet(address(to), 5000) }),
      misbehave
    )
  }
  if (kind === 3) {
    const local = { port: 6000 + (yield* below(3)) }
    return yield* Effect.flatMap(tcp.open({ ...options, mode: "passive", local }), misbehave)
  }
  const connection = yield* tcp.connect({ ...options, localPort, remote })
  yield* misbehave(connection)
})

const serve = Effect.gen(function*() {
  const listener = yield* (yield* Tcp).listen({ port: 7, backlog: 4, receiveBuffer: 5000, settings: SETTINGS })
  yield* (yield* Udp).bind({ port: 9, capacity: 2 })
  const one = Effect.ignore(Effect.scoped(Effect.flatMap(listener.accept, misbehave)))
  yield* Effect.forEach(Array.from({ length: 6 }), () => Effect.forever(one), { concurrency: "unbounded" })
})

const soak = Effect.gen(function*() {
  const network = yield* Network
  const hosts = yield* Effect.forEach(["a", "b", "c"], (name) => network.host(name, { boot: serve }))
  const bad = {
    latency: Distribution.uniform(1, 40),
    bandwidth: 4_000_000,
    queue: { packets: 30, octets: Infinity },
    loss: Loss.gilbertElliott({ goodToBad: 0.01, badToGood: 0.3 }),
    duplication: 0.03,
    corruption: 0.01,
    reordering: { probability: 0.05, packets: 3 }
  }
  const wire = yield* network.wire(hosts[0]!, hosts[1]!, { ...bad, deviceMtu: yield* oneOf([1500, 600]) })
  const lan = yield* network.lan(hosts, { conditions: bad })

  const trouble = Effect.gen(function*() {
    yield* Effect.sleep(yield* below(6000))
    const host = yield* oneOf(hosts)
    yield* oneOf([
      host.restart,
      Effect.andThen(host.stop, host.start),
      Effect.andThen(host.cutOff, Effect.andThen(Effect.sleep(2000), host.reconnect)),
      Effect.andThen(wire.partition, Effect.andThen(Effect.sleep(1000), wire.heal)),
      Effect.andThen(lan.partition([hosts[0]!], [hosts[1]!, hosts[2]!]), Effect.andThen(Effect.sleep(3000), lan.heal)),
      wire.set({ mtu: 700 }),
      wire.set({ mtu: Infinity, latency: Distribution.constant(0), bandwidth: Infinity })
    ]).pipe(Effect.flatten)
  })
  yield* Effect.forkChild(Effect.forever(trouble))

  const visits = Effect.gen(function*() {
    const from = yield* oneOf(hosts)
    const to = yield* oneOf(hosts)
    yield* Effect.ignore(Effect.timeoutOption(from.run(visit(to)), yield* below(20_000)))
    yield* Effect.sleep(yield* below(200))
  })
  yield* Effect.forEach(Array.from({ length: 60 }), () => visits, { concurrency: 6, discard: true })
  yield* Effect.sleep("2 minutes")
})

describe("Invariants", () => {
  it.effect("hold of a right machine, whatever programs, hosts and networks do", () =>
    Effect.gen(function*() {
      for (const seed of yield* Simulation.seeds(40)) yield* Simulation.run(soak, { seed })
    }), 300_000)
})
