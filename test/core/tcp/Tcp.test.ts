import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bytes, connected, pair, readAll, readText, virtually } from "../../support/tcpHosts.ts"

describe("Tcp", () => {
  it(
    "connects, and carries octets both ways",
    virtually(Effect.gen(function*() {
      const { client, server } = yield* connected(yield* pair())
      expect(client.state()).toBe("ESTABLISHED")
      expect(server.state()).toBe("ESTABLISHED")
      yield* client.write(bytes("hello"))
      expect(yield* readText(server)).toBe("hello")
      yield* server.write(bytes("and hello to you"))
      expect(yield* readText(client)).toBe("and hello to you")
      yield* client.closeWrite
      expect((yield* readAll(server)).length).toBe(0)
      yield* server.closeWrite
      yield* server.closed
      yield* client.closed
    }))
  )
})
