/**
 * The same server on the kernel's network or on a stack of its own: `shout-anywhere.ts kernel`, `shout-anywhere.ts tap`.
 */
import { NodeRuntime, NodeSocketServer } from "@effect/platform-node"
import { NetworkStack } from "@strata/core"
import { Tap } from "@strata/drivers"
import { StrataSocketServer } from "@strata/sockets"
import { Console, Effect, Layer } from "effect"
import { server } from "./shout.ts"

const Host = Tap.layer({ name: "tap0", address: "192.0.2.2/24" }).pipe(Layer.provideMerge(NetworkStack.layer))

const networks = {
  kernel: NodeSocketServer.layer({ host: "0.0.0.0", port: 7000 }),
  tap: StrataSocketServer.layer({ port: 7000 }).pipe(Layer.provide(Host))
}
const network = networks[process.argv[2] === "tap" ? "tap" : "kernel"]

NodeRuntime.runMain(Effect.andThen(Console.log("Listening on port 7000"), server).pipe(Effect.provide(network)))
