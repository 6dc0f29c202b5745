/**
 * A program that ends itself in the third of the messages that have come at once. It prints how many answers have left together.
 */
import { Udp } from "@strata/core"
import { makeDgram } from "@strata/sockets/node/Dgram"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { layer, Network } from "../../support/fakeIpv4.ts"
import { arriving, HOST } from "../../support/udpDatagram.ts"

const Stack = Layer.provideMerge(Udp.layer, layer([HOST]))

const main = Effect.gen(function*() {
  const { flushed } = yield* Network
  const socket = (yield* makeDgram).createSocket("udp4")
  const { port } = socket.bindSync()
  const arrive = yield* arriving(port)
  socket.on("message", (message, from) => {
    if (message[0] === 3) {
      process.on("exit", () => process.stdout.write(JSON.stringify(flushed)))
      process.exit(0)
    }
    socket.send(message, from.port, from.address)
  })
  for (const octet of [1, 2, 3, 4]) arrive(Uint8Array.of(octet))
  yield* Effect.never
})

void Effect.runPromise(Effect.provide(Effect.scoped(main), Stack))
