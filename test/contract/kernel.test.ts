/**
 * The contract over the kernel's loopback: what it says is what Effect's own sockets do.
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { datagrams } from "./datagrams.ts"
import { Ends } from "./Ends.ts"
import { side } from "./kernel.ts"
import { streams } from "./streams.ts"

const ends = Ends.of({
  client: side("127.0.0.1"),
  server: side("127.0.0.1"),
  blackHole: undefined,
  unroutable: undefined,
  broadcast: "127.255.255.255"
})

describe.each([["streams", streams], ["datagrams", datagrams]] as const)("kernel, %s", (_, cases) => {
  for (const { name, program } of cases) {
    it.live(name, () => Effect.provideService(program, Ends, ends))
  }
})
