/**
 * A stack on one end of a TAP and the Linux kernel on the other, in a network
 * namespace of their own.
 *
 * The kernel is 192.0.2.1 on `tap0`, the stack 192.0.2.2 with the hardware
 * address 00:00:5e:00:53:01. The test's process, and so the stack, stays outside.
 */
import { NetworkStack } from "@strata/core"
import { Loopback, Tap } from "@strata/drivers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as Namespace from "./namespace.ts"
import type * as MulticastPeer from "./peers/multicast.ts"
import type * as TcpPeer from "./peers/tcp.ts"
import type * as UdpPeer from "./peers/udp.ts"

export const KERNEL = "192.0.2.1"
export const STACK = "192.0.2.2"
export const MAC = "00:00:5e:00:53:01"

/** What `ethtool -K` is given for an interface on which each packet is one of the wire, with its checksum. */
export const OFFLOADS_OFF: ReadonlyArray<string> = ["tso", "gso", "gro", "tx", "rx"].flatMap((one) => [one, "off"])

/** The kernel's side: a namespace with `tap0` up and addressed. */
export class Kernel extends Context.Service<Kernel, Namespace.Namespace>()("test/Kernel") {
  static readonly layer: Layer.Layer<Kernel> = Layer.effect(
    Kernel,
    Effect.gen(function*() {
      const kernel = yield* Namespace.make
      yield* quiet(kernel)
      yield* kernel.succeed("ip", "tuntap", "add", "mode", "tap", "name", "tap0")
      yield* kernel.succeed("ip", "addr", "add", `${KERNEL}/24`, "dev", "tap0")
      yield* kernel.succeed("ip", "link", "set", "tap0", "up")
      return kernel
    })
  )
}

/** Nothing on the wires but what a test sends: no IPv6 solicitations and reports. */
export const quiet = (kernel: Namespace.Namespace): Effect.Effect<void> =>
  Effect.asVoid(kernel.exec("sh", "-c", "echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6"))

const tap = (offload: Tap.Options["offload"]) =>
  Layer.unwrap(Effect.map(Kernel, (kernel) =>
    Tap.layer({
      name: "tap0",
      address: `${STACK}/24`,
      gateway: KERNEL,
      mac: MAC,
      namespace: kernel.path,
      offload
    })))

/** A stack with loopback and TAP, and the kernel it talks to. */
export const hostWith = (offload: Tap.Options["offload"]) =>
  Layer.mergeAll(Loopback.layer, tap(offload)).pipe(
    Layer.provideMerge(NetworkStack.layer),
    Layer.provideMerge(Kernel.layer)
  )

/** Who computes checksums, cuts and joins segments. */
export const OFFLOADS = {
  "all by the kernel": true,
  "all by the driver": { vnet: false },
  "none": false
} as const

export type Offload = typeof OFFLOADS[keyof typeof OFFLOADS]

/** For what is the same whether the kernel or the driver computes, cuts and joins. */
export const ON_AND_OFF = [OFFLOADS["all by the kernel"], OFFLOADS.none] as const

/** Where the wire carries segments of the MTU, and what happens to them happens to one at a time. */
export const ON_THE_WIRE = [OFFLOADS["all by the driver"], OFFLOADS.none] as const

/** Describes the same tests for several of these, all by default. */
export const describeOffloads = (
  name: string,
  programs: ReadonlyArray<string>,
  tests: (offload: Offload) => void,
  chosen: ReadonlyArray<Offload> = Object.values(OFFLOADS)
): void => {
  for (const [label, offload] of Object.entries(OFFLOADS)) {
    if (chosen.includes(offload)) {
      Namespace.describeLinux(`${name}; offload: ${label}`, programs, () => tests(offload))
    }
  }
}

const program = (name: string): string => fileURLToPath(new URL(`peers/${name}.ts`, import.meta.url))

/** Starts a TCP program beside the kernel. */
export const tcpPeer = (kernel: Namespace.Namespace, plan: TcpPeer.Plan) =>
  kernel.spawn(process.execPath, program("tcp"), JSON.stringify(plan))

/** Starts a UDP program beside the kernel. */
export const udpPeer = (kernel: Namespace.Namespace, plan: UdpPeer.Plan) =>
  kernel.spawn(process.execPath, program("udp"), JSON.stringify(plan))

/** Starts a member of groups beside the kernel. */
export const multicastPeer = (kernel: Namespace.Namespace, plan: MulticastPeer.Plan) =>
  kernel.spawn(process.execPath, program("multicast"), JSON.stringify(plan))

const reports = <Report>(running: Namespace.Running): Effect.Effect<ReadonlyArray<Report>> =>
  Effect.map(
    running.result,
    ({ stdout }) => stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))
  )

/** What a program tells at its end, a report for each connection. */
export const tcpReports = (running: Namespace.Running) => reports<TcpPeer.Report>(running)
export const udpReport = (running: Namespace.Running) => Effect.map(reports<UdpPeer.Report>(running), (all) => all[0]!)
