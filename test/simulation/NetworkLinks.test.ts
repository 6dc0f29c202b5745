import { assert, describe, it } from "@effect/vitest"
import { Icmp, Routing } from "@strata/core"
import { fromIpv4 } from "@strata/core/wire/Address"
import { type Host, Network, Simulation } from "@strata/simulation"
import { Cause, Effect, Exit } from "effect"

const reaches = (from: Host, to: Host) =>
  from.run(Effect.flatMap(Icmp, (icmp) => icmp.ping(to.addresses()[0]!))).pipe(Effect.exit, Effect.map(Exit.isSuccess))

const hasRoute = (from: Host, to: Host) =>
  from.run(Effect.map(Routing, (routing) => routing.lookup(fromIpv4(to.addresses()[0]!)) !== undefined))

const three = Effect.gen(function*() {
  const network = yield* Network
  return [network, yield* network.host("a"), yield* network.host("b"), yield* network.host("c")] as const
})

const refusal = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(program), (exit) => Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "taken")

describe("links", () => {
  it.effect("go down so that both ends know, through restarts, and up again", () =>
    Simulation.run(Effect.gen(function*() {
      const [network, a, b] = yield* three
      const wire = yield* network.wire(a, b)
      assert.isTrue(yield* reaches(a, b))
      yield* wire.down
      assert.deepStrictEqual([yield* hasRoute(a, b), yield* hasRoute(b, a)], [false, false])
      yield* a.restart
      assert.isFalse(yield* hasRoute(a, b))
      yield* wire.up
      assert.isTrue(yield* reaches(a, b))
    })))

  it.effect("of a switch go down one by one", () =>
    Simulation.run(Effect.gen(function*() {
      const [network, a, b, c] = yield* three
      const lan = yield* network.lan([a, b, c])
      yield* lan.down(b)
      assert.deepStrictEqual([yield* reaches(a, b), yield* reaches(a, c), yield* hasRoute(b, a)], [false, true, false])
      yield* lan.up(b)
      assert.isTrue(yield* reaches(a, b))
    })))

  it.effect("stay blocked as long as one reason is left", () =>
    Simulation.run(Effect.gen(function*() {
      const [network, a, b] = yield* three
      const wire = yield* network.wire(a, b)
      yield* wire.partition
      yield* a.cutOff
      yield* b.cutOff
      for (const lifted of [wire.heal, a.reconnect]) {
        yield* lifted
        assert.isFalse(yield* reaches(a, b))
        assert.isTrue(yield* hasRoute(a, b))
      }
      yield* b.reconnect
      // A neighbour that did not answer is not asked again for a while.
      yield* Effect.sleep("10 seconds")
      assert.isTrue(yield* reaches(a, b))
    })))

  it.effect("refuse what makes no sense in one line", () =>
    Simulation.run(Effect.gen(function*() {
      const [network, a, b, c] = yield* three
      const lan = yield* network.lan([a])
      assert.include(yield* refusal(lan.join(a)), "a is on this switch already")
      assert.include(yield* refusal(lan.down(c)), "c is not on this switch")
      assert.include(yield* refusal(network.wire(a, b, { duplication: -1 })), "duplication of a link is -1")
      for (let number = 1; number < 128; number++) yield* network.lan([])
      assert.include(yield* refusal(network.lan([])), "at most 128 switches")
    })))
})
