/**
 * ETIMEDOUT, as Node's sockets tell it on the kernel and on strata. On the kernel it takes a namespace in which fewer retransmissions
 * are allowed; it is the part of the behaviours in docs/node-behaviours.md that loopback cannot show.
 */
import { expect } from "@effect/vitest"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { PLACES } from "../node/behaviours/world.ts"
import { describeLinux, make } from "../support/namespace.ts"
import { fallSilent } from "../support/peers/silence.ts"

const PROGRAM = fileURLToPath(new URL("../support/peers/silence.ts", import.meta.url))

const onKernel = Effect.gen(function*() {
  const namespace = yield* make
  yield* namespace.succeed("ip", "link", "set", "lo", "up")
  for (const setting of ["tcp_syn_retries", "tcp_retries2"]) {
    yield* namespace.succeed("sysctl", "-qw", `net.ipv4.${setting}=1`)
  }
  const { stdout } = yield* namespace.succeed(process.execPath, PROGRAM)
  return JSON.parse(stdout.replaceAll("127.0.0.1", "server")) as unknown
})

const onStrata = Effect.acquireUseRelease(
  Effect.promise(PLACES.strata),
  (hosts) =>
    Effect.promise(async () => {
      const seen = await fallSilent({
        client: hosts.client.net,
        server: hosts.server.net,
        address: hosts.server.address,
        port: 5000,
        silence: hosts.silence,
        options: { settings: { retransmissions: 1, synRetransmissions: 1 } }
      })
      return JSON.parse(JSON.stringify(seen).replaceAll(hosts.server.address, "server")) as unknown
    }),
  ({ close }) => Effect.promise(close)
)

describeLinux("Node's sockets, when the peer falls silent", ["nft", "sysctl"], () => {
  it.live("tell ETIMEDOUT of the same calls", () =>
    Effect.gen(function*() {
      const [kernel, strata] = yield* Effect.all([onKernel, onStrata], { concurrency: 2 })
      const timedOut = { code: "ETIMEDOUT", errno: -110 }
      expect(kernel).toEqual([
        { errors: [{ ...timedOut, message: "read ETIMEDOUT", syscall: "read" }], hadError: true },
        {
          errors: [{
            ...timedOut,
            message: "connect ETIMEDOUT server:5000",
            syscall: "connect",
            address: "server",
            port: 5000
          }],
          hadError: true
        }
      ])
      expect(strata).toEqual(kernel)
    }))
})
