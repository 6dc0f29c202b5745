import { assert, describe, it } from "@effect/vitest"
import { type Binding, EPHEMERAL_COUNT, EPHEMERAL_FIRST, PortTable } from "@strata/core/udp/PortTable"
import { Schema } from "effect"

/** Few addresses and ports, so that sockets meet. */
const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const binding = Schema.Struct({
  address: small(2),
  port: small(1),
  remoteAddress: small(2),
  remotePort: small(2),
  shared: Schema.Boolean
})
const bindings = Schema.Array(binding).check(Schema.isMaxLength(12))

/** Whom the kernel would let in, one after another. */
const admit = (candidates: ReadonlyArray<Binding>) => {
  const table = new PortTable<Binding>()
  const admitted = candidates.filter((candidate) => {
    const free = !table.conflicts(candidate.address, candidate.port, candidate.shared)
    if (free) table.add(candidate)
    return free
  })
  return { table, admitted }
}

const conflict = (first: Binding, second: Binding) => admit([first, second]).admitted.length === 1

describe("PortTable", () => {
  it.prop("without sharing, no two sockets want the same datagram", { candidates: bindings }, ({ candidates }) => {
    const { table } = admit(candidates.map((candidate) => ({ ...candidate, shared: false })))
    for (let destination = 1; destination <= 2; destination++) {
      for (let port = 0; port <= 1; port++) {
        assert.isAtMost(table.findAll(destination, port, 1, 1).length, 1)
      }
    }
  })

  it.prop("conflicts do not depend on who came first", { a: binding, b: binding }, (pair) => {
    assert.strictEqual(conflict(pair.a, pair.b), conflict(pair.b, pair.a))
  })

  it.prop("finds the best of all that want a datagram", {
    candidates: bindings,
    destination: small(2),
    port: small(1),
    source: small(2),
    sourcePort: small(2)
  }, ({ candidates, destination, port, source, sourcePort }) => {
    const { admitted, table } = admit(candidates.map((candidate) => ({ ...candidate, shared: true })))
    const wants = (candidate: Binding) =>
      candidate.port === port && [0, destination].includes(candidate.address) &&
      (candidate.remotePort === 0 || (candidate.remoteAddress === source && candidate.remotePort === sourcePort))
    const all = admitted.filter(wants)
    assert.deepStrictEqual(table.findAll(destination, port, source, sourcePort), all)
    const connected = all.filter(({ remotePort }) => remotePort !== 0)
    const nearest = connected.length > 0 ? connected : all
    const exact = nearest.filter(({ address }) => address !== 0)
    const best = (exact.length > 0 ? exact : nearest).at(-1)
    assert.strictEqual(table.find(destination, port, source, sourcePort), best)
  })

  it.prop("forgets exactly whom it is told to", { candidates: bindings, index: small(11) }, ({ candidates, index }) => {
    const { admitted, table } = admit(candidates)
    const [gone] = admitted.splice(index, 1)
    if (gone !== undefined) table.remove(gone)
    assert.sameMembers([...table.all()], admitted)
    if (gone !== undefined) {
      table.remove(gone)
      assert.sameMembers([...table.all()], admitted)
    }
  })

  it("starts its search for an ephemeral port where chance says, and goes round", () => {
    const table = new PortTable<Binding>()
    const last = EPHEMERAL_FIRST + EPHEMERAL_COUNT - 1
    const at = (offset: number) => table.ephemeral(0, () => offset)
    assert.strictEqual(at(0), EPHEMERAL_FIRST)
    assert.strictEqual(at(EPHEMERAL_COUNT - 1), last)
    table.add({ address: 1, port: last, remoteAddress: 0, remotePort: 0, shared: true })
    assert.strictEqual(at(EPHEMERAL_COUNT - 1), EPHEMERAL_FIRST)
    assert.strictEqual(table.ephemeral(2, () => EPHEMERAL_COUNT - 1), last)
    assert.strictEqual(last, 65535)
  })
})
