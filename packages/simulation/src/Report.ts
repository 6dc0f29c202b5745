/**
 * Who waits for what, when nobody can go on.
 */
import { Tcp } from "@strata/core"
import type { ConnectionStatus } from "@strata/core/tcp/Tcp"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { formatInet } from "effect/net/NetAddress"
import type { ManagedHost } from "./Host.ts"
import type { Network } from "./Network.ts"

/** A line for each host, one for each operation that waits, and one for each of its connections and listeners. */
export const describe = (network: Network["Service"]): Effect.Effect<string> =>
  Effect.map(Effect.forEach(network.hosts(), describeHost), (parts) => parts.flat().join("\n"))

const describeHost = (host: ManagedHost): Effect.Effect<ReadonlyArray<string>> => {
  const context = host.context()
  if (context === undefined) return Effect.succeed([`${host.name} is down`])
  const waits = host.waits()
  const failure = host.bootFailure()
  return Effect.map(Context.get(context, Tcp).status, (connections) => [
    `${host.name} is up, ${waits.length > 0 ? "and waits:" : idle(host)}`,
    ...(failure === undefined ? [] : [`  its boot failed: ${failure}`]),
    ...waits.map((wait) => `  ${wait}`),
    ...connections.map((connection) => `  (${describeConnection(connection)})`)
  ])
}

const idle = (host: ManagedHost): string =>
  host.running() === 0 ? "and nothing runs on it" : "and what runs on it does not wait for the network"

const describeConnection = (self: ConnectionStatus): string =>
  self.state === "LISTEN"
    ? `listens on ${formatInet(self.local)}`
    : `${formatInet(self.local)} to ${
      formatInet(self.remote)
    } is in ${self.state}, with ${self.sendQueue} octets to send ` +
      `and ${self.receiveQueue} to be read`
