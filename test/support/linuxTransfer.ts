/**
 * Whole transfers between the stack and a program of the kernel's, compared by their hashes.
 */
import { expect } from "@effect/vitest"
import { Tcp } from "@strata/core"
import * as Effect from "effect/Effect"
import { KERNEL, Kernel, STACK, tcpPeer, tcpReports } from "./linux.ts"
import { inet } from "./Probe.ts"
import { readHash, writeRandom } from "./transfer.ts"

/** The kernel connects to port 7 of the stack and sends that many random octets. */
export const receiveFromKernel = Effect.fnUntraced(function*(octets: number) {
  const listener = yield* (yield* Tcp).listen({ port: 7 })
  const peer = yield* tcpPeer(yield* Kernel, { connect: { host: STACK, port: 7 }, send: octets })
  const connection = yield* listener.accept
  const received = yield* readHash(connection)
  yield* connection.closeWrite
  const [report] = yield* tcpReports(peer)
  expect(received).toEqual({ octets, hash: report!.sentHash })
})

/** The stack connects to port 9000 of the kernel and sends that many random octets. */
export const sendToKernel = Effect.fnUntraced(function*(octets: number) {
  const peer = yield* tcpPeer(yield* Kernel, { listen: 9000, end: "afterReceiving" })
  yield* peer.prints(/listening/)
  const connection = yield* (yield* Tcp).connect({ remote: inet(KERNEL, 9000) })
  const hash = yield* writeRandom(connection, octets)
  yield* connection.closeWrite
  yield* peer.prints(/sentHash/)
  expect(JSON.parse(peer.stdout())).toMatchObject({ received: octets, receivedHash: hash, ended: true })
})
