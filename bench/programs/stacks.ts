/**
 * Bulk TCP from one stack to another in one process: what the layers above the
 * driver can do.
 *
 * `tcp`: two TCPs, with nothing between them but a queue that hands over
 * segments of 1,460 octets in batches. `checksums`: two whole stacks on a wire;
 * `no checksums` without them, `offload` in large segments besides. Octets are written a mebibyte at a time and read as they
 * come. Both ends share one processor, whose time is told for a mebibyte.
 */
import { Devices, Entropy, Ipv4, NetworkStack, Routing, Tcp, Turn } from "@strata/core"
import type { AttachedDevice } from "@strata/core/device/Devices"
import { ChecksumState, Packet } from "@strata/core/device/Packet"
import type { TransportInput } from "@strata/core/ip/Ipv4"
import * as Address from "@strata/core/wire/Address"
import { Wire } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import { Allocations } from "../support/allocations.ts"
import type { Figure } from "../support/measurement.ts"
import { chunk, Verifier } from "../support/pattern.ts"
import { main } from "../support/program.ts"

const PORT = 7
const MTU = 1500
const SERVER = "10.0.0.2"
const CLIENT = "10.0.0.1"

const ip = (text: string) => NetAddress.ipFromStringUnsafe(text) as NetAddress.Ipv4Address
const inet = NetAddress.inetAddressUnsafe(ip(SERVER), PORT) as NetAddress.InetAddressV4

/** Hands packets to the other side's transport, all that are there as one batch. */
class Channel {
  input: TransportInput = () => {}
  run: (work: () => void) => void = (work) => work()
  private readonly slab = new Uint8Array(512 * 2048)
  private readonly packets = Array.from({ length: 512 }, () => new Packet(this.slab))
  private count = 0
  private due = false
  private readonly deliver = () => {
    this.due = false
    const count = this.count
    this.run(() => {
      for (let index = 0; index < count; index++) this.input(device, this.packets[index]!, "local")
    })
    this.count = 0
  }

  offer(packet: Packet): "sent" | "dropped" {
    if (this.count === this.packets.length) return "dropped"
    const copy = this.packets[this.count]!
    const at = this.count++ * 2048
    copy.point(at, at + packet.copyTo(this.slab, at))
    copy.source = packet.source
    copy.destination = packet.destination
    copy.checksum = ChecksumState.valid
    if (!this.due) {
      this.due = true
      setImmediate(this.deliver)
    }
    return "sent"
  }
}

const device = { name: "channel" } as AttachedDevice

const bare = (out: Channel, back: Channel, own: string) =>
  NetworkStack.tcp.pipe(
    Layer.provide(Layer.effectContext(Effect.gen(function*() {
      const turn = yield* Turn
      back.run = turn.run
      const address = Address.fromIpv4(ip(own))
      const ipv4 = {
        sourceFor: () => address,
        mtuFor: () => MTU,
        output: (packet: Packet) => out.offer(packet),
        handle: (_protocol: number, input: TransportInput) => Effect.sync(() => void (back.input = input))
      } as unknown as Ipv4["Service"]
      const routing = {
        isLocal: () => true,
        isBroadcast: () => false,
        lookup: () => undefined
      } as unknown as Routing["Service"]
      return Context.make(Ipv4, ipv4).pipe(Context.add(Routing, routing))
    }))),
    Layer.provide(Devices.layer),
    Layer.provide(Layer.mergeAll(NetworkStack.foundation, Entropy.layer)),
    Layer.fresh
  )

/** Seconds before it counts. */
const WARM_UP = 0.5

const transfer = Effect.fnUntraced(function*(client: Tcp["Service"], server: Tcp["Service"], duration: number) {
  const listener = yield* server.listen({ port: PORT })
  const [sender, receiver] = yield* Effect.all([client.connect({ remote: inet }), listener.accept], {
    concurrency: "unbounded"
  })
  const verifier = new Verifier()
  const read = (until: number) =>
    Effect.whileLoop({
      while: () => performance.now() < until,
      body: () => receiver.read,
      step: (received) => {
        for (const each of received) verifier.accept(each)
      }
    })
  yield* Effect.forkScoped(Effect.forever(sender.write(chunk)))
  const began = performance.now()
  yield* read(began + WARM_UP * 1000)
  const allocations = new Allocations()
  const [warmed, before, started] = [verifier.octets, process.cpuUsage(), performance.now()]
  yield* read(started + duration * 1000)
  const milliseconds = performance.now() - started
  const { system, user } = process.cpuUsage(before)
  const allocated = allocations.since()
  if (!verifier.equal) return yield* Effect.die(new Error("what arrived is not what was sent"))
  const octets = verifier.octets - warmed
  yield* sender.abort
  const mebibytes = octets / 2 ** 20
  const figure: Figure = {
    value: octets * 8 / milliseconds / 1e6,
    processor: (user + system) / mebibytes,
    allocated: allocated / mebibytes
  }
  return figure
}, Effect.scoped)

const build = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.flatMap(
    Layer.makeMemoMap,
    (memo) => Effect.flatMap(Effect.scope, (scope) => Layer.buildWithMemoMap(layer, memo, scope))
  )

const tcpOnly = Effect.fnUntraced(function*(seconds: number) {
  const there = new Channel()
  const back = new Channel()
  const left = yield* build(bare(there, back, CLIENT))
  const right = yield* build(bare(back, there, SERVER))
  return yield* transfer(Context.get(left, Tcp), Context.get(right, Tcp), seconds)
}, Effect.scoped)

const host = (end: Wire.End, address: string) =>
  build(Wire.layer(end, { address: `${address}/24`, mtu: MTU }).pipe(Layer.provideMerge(NetworkStack.layer)))

const whole = Effect.fnUntraced(function*(options: Wire.Options, seconds: number) {
  const wire = Wire.make(options)
  const left = yield* host(wire.left, CLIENT)
  const right = yield* host(wire.right, SERVER)
  return yield* transfer(Context.get(left, Tcp), Context.get(right, Tcp), seconds)
}, Effect.scoped)

await main({
  tcp: (seconds) => Effect.runPromise(tcpOnly(seconds)),
  offload: (seconds) => Effect.runPromise(whole({ offload: true }, seconds)),
  "no checksums": (seconds) => Effect.runPromise(whole({ checksumOffload: true }, seconds)),
  checksums: (seconds) => Effect.runPromise(whole({}, seconds))
})
