/**
 * A simulation with a little of everything: a lan and a wire that lose,
 * duplicate, corrupt and reorder; TCP, UDP with fragments, pings; a crash, a
 * restart, a partition.
 */
import { Icmp, Tcp, Udp } from "@strata/core"
import { fromIpv4, toInet } from "@strata/core/wire/Address"
import { Distribution, Loss } from "@strata/drivers"
import { type Host, Network, Simulation } from "@strata/simulation"
import { Effect, Fiber, Random } from "effect"
import { patterned } from "../transfer.ts"

const endpoint = (host: Host, port: number) => toInet(fromIpv4(host.addresses()[0]!), port)

const server = Effect.gen(function*() {
  const listener = yield* (yield* Tcp).listen({ port: 7 })
  const udp = yield* (yield* Udp).bind({ port: 9 })
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.flatMap(
        udp.take,
        (datagrams) => Effect.forEach(datagrams, ({ payload, source }) => udp.send(payload, source), { discard: true })
      )
    )
  )
  yield* Effect.forever(
    Effect.flatMap(
      listener.accept,
      (connection) =>
        Effect.forkScoped(
          Effect.forever(
            Effect.flatMap(connection.read, (chunks) => Effect.forEach(chunks, connection.write, { discard: true }))
          )
        )
    )
  )
})

const client = Effect.fnUntraced(function*(to: Host) {
  const connection = yield* (yield* Tcp).connect({ remote: endpoint(to, 7) })
  const udp = yield* (yield* Udp).bind()
  yield* Effect.forkChild(connection.write(patterned(100_000, 1)))
  for (let received = 0; received < 100_000;) {
    for (const chunk of yield* connection.read) received += chunk.length
    yield* Effect.sleep(yield* Random.nextBetween(1, 10))
  }
  yield* udp.send(patterned(4000, 2), endpoint(to, 9))
  yield* (yield* Icmp).ping(to.addresses()[0]!)
})

const program = Effect.gen(function*() {
  const network = yield* Network
  const hosts = yield* Effect.forEach(["a", "b", "c"], (name) => network.host(name, { boot: server }))
  const [a, b, c] = hosts as [Host, Host, Host]
  const bad = {
    latency: Distribution.normal(10, 3),
    loss: Loss.bernoulli(0.02),
    duplication: 0.02,
    corruption: 0.02,
    reordering: { probability: 0.05, packets: 2 }
  }
  const wire = yield* network.wire(a, b, bad)
  const lan = yield* network.lan(hosts, { conditions: bad })
  const clients = yield* Effect.all([
    a.fork(client(b)),
    b.fork(client(c)),
    c.fork(client(a)),
    a.fork(client(c))
  ])
  yield* Effect.sleep(500)
  yield* b.restart
  yield* wire.partition
  yield* lan.partition([a, c], [b])
  yield* Effect.sleep("2 seconds")
  yield* wire.heal
  yield* lan.heal
  yield* Effect.forEach(clients, (fiber) => Fiber.await(fiber).pipe(Effect.timeoutOption("1 minute")))
})

/** Runs it, and passes each block of its capture to `write`. */
export const capture = (seed: number, write: (block: Uint8Array) => void): Effect.Effect<void> =>
  Effect.orDie(Simulation.run(Effect.orDie(program), { seed, capture: write }))
