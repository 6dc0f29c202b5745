import { describe, expect, it } from "@effect/vitest"
import { NetworkStack, Tcp, TcpDefaults } from "@strata/core"
import { defaultSettings } from "@strata/core/tcp/TcpSettings"
import { Loopback } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { bytes, connected, inet, pair, readText, virtually } from "../../support/tcpHosts.ts"

describe("TcpDefaults", () => {
  it(
    "are what connections of a stack do where nothing else is said, setting by setting",
    virtually(Effect.gen(function*() {
      const hosts = yield* pair({
        leftDefaults: { settings: { nagle: false, synRetransmissions: 2 }, receiveBuffer: 5000 },
        rightDefaults: { settings: { timestamps: false } }
      })
      const { client, server } = yield* connected(hosts, { client: { settings: { synRetransmissions: 3 } } })
      expect(client.controlBlock().settings).toEqual({ ...defaultSettings, nagle: false, synRetransmissions: 3 })
      expect(client.controlBlock().rcv.capacity).toBe(5000)
      expect(server.controlBlock().settings).toEqual({ ...defaultSettings, timestamps: false })
      expect(client.controlBlock().options.timestamps).toBe(false)
      yield* client.write(bytes("as ever"))
      expect(yield* readText(server)).toBe("as ever")
    }))
  )

  it.live("are given to a stack as a Layer", () =>
    Effect.gen(function*() {
      const tcp = yield* Tcp
      yield* tcp.listen({ port: 7 })
      const connection = yield* tcp.connect({ remote: inet("127.0.0.1", 7) })
      expect(connection.controlBlock().settings.keepAlive).toBe(true)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Loopback.layer.pipe(
          Layer.provideMerge(NetworkStack.layer),
          Layer.provide(Layer.succeed(TcpDefaults, { settings: { keepAlive: true } }))
        ),
        { local: true }
      )
    ))
})
