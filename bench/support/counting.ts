/**
 * What the server counts while a client works: figures that do not depend on how fast the machine is.
 */
import * as Effect from "effect/Effect"
import type { Told as Result, Work } from "./load.ts"
import type { StrataServer, Testbed } from "./testbed.ts"

export interface Counted {
  readonly result: Result
  /** By how much a counter has grown; `device.reads` is that of the only device. */
  readonly count: (name: string) => number
  /** Octets that JavaScript allocated. */
  readonly allocated: number
  /** What the kernel at the other end sent again. */
  readonly kernelRetransmitted: number
}

/** A counter of a namespace's kernel. */
const kernelCounter = (testbed: Testbed, name: string): Effect.Effect<number> =>
  Effect.map(testbed.near.succeed("nstat", "-asjz", name), ({ stdout }) => JSON.parse(stdout).kernel[name])

const withoutName = (counter: string): string => counter.replace(/^device\.tap\d+\./, "device.")

export const counting = Effect.fnUntraced(
  function*(testbed: Testbed, server: StrataServer, work: Work, seconds: number) {
    const retransmitted = kernelCounter(testbed, "TcpRetransSegs")
    const before = { ...yield* server.ask, retransmitted: yield* retransmitted }
    const result = yield* testbed.load(server, work, { seconds })
    const after = { ...yield* server.ask, retransmitted: yield* retransmitted }
    const grown = new Map<string, number>()
    for (const [name, value] of Object.entries(after.counters)) {
      grown.set(withoutName(name), value - (before.counters[name] ?? 0))
    }
    const counted: Counted = {
      result,
      count: (name) => grown.get(name) ?? 0,
      allocated: after.allocated,
      kernelRetransmitted: after.retransmitted - before.retransmitted
    }
    return counted
  }
)
