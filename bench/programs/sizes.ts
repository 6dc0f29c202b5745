/**
 * What grows with the size of tables and networks, and what does not: finding a route, handing a packet to a neighbour, a network
 * of hosts.
 */
import { ArpCache, type AttachedDevice, Devices, NetworkStack, NO_OFFLOAD, Packet, Routing, Turn } from "@strata/core"
import { toIpv4, toMac } from "@strata/core/wire/Address"
import * as Effect from "effect/Effect"
import * as IpInterface from "effect/net/IpInterface"
import * as IpNetwork from "effect/net/IpNetwork"
import * as Result from "effect/Result"
import { neighbours } from "../../test/support/simulation/programs.ts"
import type { Figure } from "../support/measurement.ts"
import { costOf, main } from "../support/program.ts"
import { CONNECTED, HOSTS } from "../support/sizes.ts"
import { running } from "./running.ts"

const DEVICE = "eth0"
/** Of one round. */
const LOOKUPS = 100_000

/** Octets of each host of a network. */
const EACH_SENDS = 10 * 1024

/** An Ethernet that swallows what it is given. */
const device = Effect.flatMap(Devices, (devices) =>
  devices.attach({
    name: DEVICE,
    type: "ethernet",
    framing: "ethernet",
    flags: { loopback: false, broadcast: true, multicast: true, pointToPoint: false, needsArp: true },
    mtu: 1500,
    hardwareAddress: 0x0200_0000_0001,
    offload: { ...NO_OFFLOAD, checksum: true },
    transmit: () => true,
    flush: () => {}
  }))

const onStack = (
  measure: (device: AttachedDevice) => Effect.Effect<Figure, unknown, Routing | ArpCache | Turn>
): Promise<Figure> =>
  Effect.flatMap(device, (attachment) => measure(attachment.device)).pipe(
    Effect.scoped,
    Effect.provide(NetworkStack.layer),
    Effect.runPromise
  )

/** The host in the middle of the network with this number: 10.0.0.128, 10.0.1.128 and so on. */
const hostOf = (index: number): number => (0x0a00_0080 + index * 256) >>> 0

/** All of them again and again, in an order that is not theirs. */
const shuffled = (size: number): Uint32Array =>
  Uint32Array.from({ length: LOOKUPS }, (_, index) => Math.imul(index, 0x9e37_79b1) >>> 0)
    .map((drawn) => hostOf(drawn % size))

const lookingUp = (size: number) => (seconds: number) =>
  onStack(() =>
    Effect.gen(function*() {
      const routing = yield* Routing
      for (let index = 0; index < size; index++) {
        const network = IpNetwork.ipv4FromString(`${toIpv4(hostOf(index) - 128)}/24`)
        yield* routing.addRoute(Result.getOrThrow(network), { device: DEVICE })
      }
      const destinations = shuffled(size)
      return costOf(LOOKUPS, () => {
        for (const destination of destinations) {
          if (routing.lookup(destination) === undefined) throw new Error("a route is missing")
        }
      }, seconds)
    })
  )

const sending = (size: number) => (seconds: number) =>
  onStack((attached) =>
    Effect.gen(function*() {
      const [arp, routing, turn] = [yield* ArpCache, yield* Routing, yield* Turn]
      yield* routing.addAddress(
        DEVICE,
        Result.getOrThrow(IpInterface.ipv4FromString("10.0.0.1/8", { prefix: "required" }))
      )
      for (let index = 0; index < size; index++) {
        yield* arp.addStatic(DEVICE, toIpv4(hostOf(index)), toMac(0x0200_0001_0000 + index))
      }
      const destinations = shuffled(size)
      const packet = Packet.make(64)
      const before = attached.counters.transmittedPackets.value
      const figure = costOf(LOOKUPS, () =>
        turn.run(() => {
          for (const destination of destinations) {
            packet.reset()
            packet.end += 64
            arp.output(attached, packet, destination, hostOf(0))
          }
        }), seconds)
      if (attached.counters.transmittedPackets.value - before < LOOKUPS) throw new Error("not all was sent")
      return figure
    })
  )

const named = <A>(name: string, sizes: ReadonlyArray<number>, make: (size: number) => A): Record<string, A> =>
  Object.fromEntries(sizes.map((size) => [`${name} ${size}`, make(size)]))

await main({
  ...named("routes", CONNECTED, lookingUp),
  ...named("neighbours", CONNECTED, sending),
  ...named("hosts", HOSTS, (size) => running(neighbours(size, EACH_SENDS), {}, false, size < 1000))
})
