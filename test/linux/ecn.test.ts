/**
 * Explicit congestion notification (RFC 3168) with the kernel, both ways.
 */
import { expect, layer } from "@effect/vitest"
import { NetworkStack, Tcp } from "@strata/core"
import { Impairment, Tap } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { describeOffloads, hostWith, KERNEL, Kernel, MAC, type Offload, STACK, tcpPeer } from "../support/linux.ts"
import { inet } from "../support/Probe.ts"
import { readHash, writeRandom } from "../support/transfer.ts"

describeOffloads("Linux, ECN", ["nc"], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel asks, and the stack grants it", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("sysctl", "-w", "net.ipv4.tcp_ecn=1")
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        const accepting = yield* Effect.forkChild(listener.accept)
        const nc = yield* kernel.spawn("nc", STACK, "7")
        yield* nc.write("hello\n")
        const connection = yield* Fiber.join(accepting)
        yield* connection.read
        expect(connection.controlBlock().options.ecn).toBe(true)
        yield* connection.close
        yield* nc.endInput
      }))

    it.effect("the stack asks, and the kernel grants it", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const listening = yield* kernel.spawn("nc", "-v", "-n", "-l", "-p", "9000")
        yield* listening.prints(/Listening/)
        const connection = yield* (yield* Tcp).connect({
          remote: inet(KERNEL, 9000),
          settings: { explicitCongestionNotification: "active" }
        })
        yield* connection.write(new TextEncoder().encode("from the stack\n"))
        yield* listening.prints(/from the stack\n/)
        expect(connection.controlBlock().options.ecn).toBe(true)
        // The kernel has seen that the text may be marked.
        expect((yield* kernel.exec("nstat", "-asz", "IpExtInECT0Pkts")).stdout).toMatch(/IpExtInECT0Pkts\s+[1-9]/)
        yield* connection.close
        yield* listening.endInput
      }))
  })
})

/** 20 Mbit/s in both directions, with packets marked that find more than ten before them. */
const congested = { bandwidth: 20e6, queue: { packets: 500, octets: Infinity }, marking: 10 }

class Path extends Context.Service<Path, Impairment.Impairment>()("test/Path") {}

/** Nothing had to be dropped. */
const markedOnly = Effect.gen(function*() {
  for (const { marked, overflowed } of Object.values(yield* (yield* Path).counters)) {
    expect(marked).toBeGreaterThan(0)
    expect(overflowed).toBe(0)
  }
})

const bottleneck = (offload: Offload) =>
  Layer.unwrap(Effect.gen(function*() {
    const kernel = yield* Kernel
    const impairment = Impairment.make({ inbound: congested, outbound: congested })
    return Tap.layer({ name: "tap0", address: `${STACK}/24`, mac: MAC, namespace: kernel.path, offload }).pipe(
      Impairment.of(impairment),
      Layer.merge(Layer.succeed(Path, impairment))
    )
  })).pipe(Layer.provideMerge(NetworkStack.layer), Layer.provideMerge(Kernel.layer))

const MiB = 1024 * 1024

describeOffloads("Linux, ECN on a path that marks", [], (offload) => {
  layer(bottleneck(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("the kernel hears our echoes, lowers its window, and says so", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        yield* kernel.succeed("sysctl", "-w", "net.ipv4.tcp_ecn=1")
        const listener = yield* (yield* Tcp).listen({ port: 7 })
        yield* tcpPeer(kernel, { connect: { host: STACK, port: 7 }, send: 4 * MiB })
        const connection = yield* listener.accept
        let echoes = 0
        let answers = 0
        yield* Effect.forkChild(Effect.forever(Effect.andThen(
          Effect.sync(() => {
            const { echo } = connection.controlBlock().ecn
            if (echo && echoes === answers) echoes++
            if (!echo && echoes > answers) answers++
          }),
          Effect.sleep(1)
        )))
        const { octets } = yield* readHash(connection)
        yield* connection.closeWrite
        expect(octets).toBe(4 * MiB)
        expect(answers).toBeGreaterThan(0)
      }), 60_000)

    it.effect(
      "the kernel echoes the marks of what we send, and sees that we lowered our window",
      () =>
        Effect.gen(function*() {
          const kernel = yield* Kernel
          const peer = yield* tcpPeer(kernel, { listen: 9000, end: "afterReceiving" })
          yield* peer.prints(/listening/)
          const connection = yield* (yield* Tcp).connect({
            remote: inet(KERNEL, 9000),
            settings: { explicitCongestionNotification: "active" }
          })
          const hash = yield* writeRandom(connection, 4 * MiB)
          yield* connection.closeWrite
          yield* peer.prints(/sentHash/)
          expect(JSON.parse(peer.stdout())).toMatchObject({ received: 4 * MiB, receivedHash: hash })
          const { counts } = connection.controlBlock()
          expect(counts.congestionEchoes).toBeGreaterThan(1)
          expect((yield* kernel.exec("nstat", "-asz", "IpExtInCEPkts")).stdout).toMatch(/IpExtInCEPkts\s+[1-9]/)
          yield* markedOnly
        }),
      60_000
    )
  })
})
