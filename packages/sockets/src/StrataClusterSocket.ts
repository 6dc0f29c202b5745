/**
 * Runners of `effect/cluster` that talk over strata: `NodeClusterSocket` of `@effect/platform-node` by another name.
 *
 * ```ts
 * const Runner = SocketRunner.layer.pipe(
 *   Layer.provide([StrataClusterSocket.layerSocketServer, StrataClusterSocket.layerClientProtocol])
 * )
 * ```
 */
import { Tcp } from "@strata/core"
import * as Runners from "effect/cluster/Runners"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Socket } from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import * as StrataSocket from "./StrataSocket.ts"
import * as StrataSocketServer from "./StrataSocketServer.ts"

/** How runners call each other. Addresses that are names need an `AddressResolver`. */
export const layerClientProtocol: Layer.Layer<
  Runners.RpcClientProtocol,
  never,
  RpcSerialization.RpcSerialization | Tcp
> = Layer.effect(Runners.RpcClientProtocol)(
  Effect.gen(function*() {
    const serialization = yield* RpcSerialization.RpcSerialization
    const tcp = yield* Tcp
    return {
      codecFor: serialization.codecFor,
      make: ({ host, port }) =>
        Effect.flatMap(
          StrataSocket.makeNet({ openTimeout: 1000, host, port }),
          (socket) =>
            RpcClient.makeProtocolSocket().pipe(
              Effect.provideService(Socket, socket),
              Effect.provideService(RpcSerialization.RpcSerialization, serialization)
            )
        ).pipe(Effect.provideService(Tcp, tcp))
    }
  })
)

/** Where others reach this runner: `runnerListenAddress` of `ShardingConfig`, or `runnerAddress`. */
export const layerSocketServer: Layer.Layer<
  SocketServer.SocketServer,
  SocketServer.SocketServerError,
  ShardingConfig.ShardingConfig | Tcp
> = Layer.unwrap(Effect.gen(function*() {
  const { runnerAddress, runnerListenAddress } = yield* ShardingConfig.ShardingConfig
  const address = Option.orElse(runnerListenAddress, () => runnerAddress)
  if (Option.isNone(address)) {
    return yield* Effect.die(new Error("a runner without runnerAddress cannot listen"))
  }
  return StrataSocketServer.layer(address.value)
}))
