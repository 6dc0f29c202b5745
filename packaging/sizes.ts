/**
 * What a few typical imports weigh in a browser's bundle: `npm run sizes` prints the README's table.
 */
import { gzipSync } from "node:zlib"
import { bundle } from "./bundle.ts"
import { ROOT } from "./pack.ts"

/** Programs that use what they import, for a bundler keeps nothing else. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "`effect` alone, for comparison": `
    import { Effect, Layer, Stream } from "effect"
    globalThis.used = [Effect.runFork, Layer.mergeAll, Stream.runDrain]`,
  "a header: `@strata/core/wire/TcpHeader`": `
    import { TcpHeader } from "@strata/core/wire/TcpHeader"
    globalThis.used = TcpHeader`,
  "a host with UDP alone, on a wire": `
    import { ArpCache, Devices, Ethernet, Entropy, Icmp, Ipv4, Multicast, Routing, Statistics, Timers, Trace, Turn, Udp } from "@strata/core"
    import { Wire } from "@strata/drivers"
    globalThis.used = [
      ArpCache.layer, Devices.layer, Ethernet.layer, Entropy.layer, Icmp.layer, Ipv4.layer, Multicast.layer, Routing.layer,
      Statistics.layer, Timers.layer, Trace.layer, Turn.layer, Udp.layer, Wire.make
    ]`,
  "a host: `NetworkStack`, `Wire`, `TcpServer`, `TcpSocket`": `
    import { NetworkStack } from "@strata/core"
    import { Wire } from "@strata/drivers"
    import { TcpServer, TcpSocket } from "@strata/sockets"
    globalThis.used = [NetworkStack.layer, Wire.make, TcpServer.listen, TcpSocket.connect]`,
  "a network in virtual time: `Simulation`, `Network`": `
    import { Network, Simulation } from "@strata/simulation"
    globalThis.used = [Network, Simulation.run]`
}

export interface Size {
  readonly what: string
  /** Octets, minified. */
  readonly minified: number
  /** Octets, minified and compressed. */
  readonly gzip: number
  /** The files of which something is in it. */
  readonly modules: ReadonlyArray<string>
  readonly imports: ReadonlyArray<string>
}

/** With the packages that `directory` finds. */
export const measure = (directory: string): Promise<ReadonlyArray<Size>> =>
  Promise.all(
    Object.entries(PROGRAMS).map(async ([what, program]) => {
      const { code, imports, modules } = await bundle(directory, program)
      return { what, minified: Buffer.byteLength(code), gzip: gzipSync(code).length, modules, imports }
    })
  )

const kilobytes = (octets: number): string => (octets / 1000).toFixed(octets < 10_000 ? 1 : 0)

export const row = ({ gzip, minified, what }: Size): string =>
  `| ${what} | ${kilobytes(minified)} kB | ${kilobytes(gzip)} kB |`

if (import.meta.main) {
  process.stdout.write("| import | minified | gzip |\n|---|--:|--:|\n")
  for (const size of await measure(ROOT)) process.stdout.write(`${row(size)}\n`)
}
