/**
 * iperf3 between two kernels over a cable: the tool that everybody has, as a check of the load generator.
 */
import * as Effect from "effect/Effect"
import { isMissing } from "../../test/support/tools.ts"
import { Failure } from "./failure.ts"
import type { Contender } from "./measurement.ts"
import { placement } from "./testbed.ts"

const PORT = "5201"

/** The octets are not looked at, so that it may be faster than what looks. */
export const iperf3 = (mode: "send" | "receive"): Contender => ({
  title: "iperf3 over veth",
  obstacle: () => isMissing("iperf3") ? "there is no iperf3" : undefined,
  warm: false,
  isAside: true,
  measure: Effect.fnUntraced(function*(testbed, seconds) {
    const { baselines, far, near } = yield* testbed
    const { onClient, onServer } = placement()
    const server = yield* far.spawn(...onServer, "iperf3", "--server", "--one-off", "--port", PORT, "--forceflush")
    yield* server.prints(/listening/)
    const time = String(Math.max(Math.round(seconds), 1))
    const direction = mode === "receive" ? ["--reverse"] : []
    const { host } = baselines.veth
    const words = [...onClient, "iperf3", "--client", host, "--port", PORT, "--time", time, "--json", ...direction]
    const { exitCode, stdout } = yield* near.execWith(
      { timeout: (seconds + 20) * 1000 },
      ...words
    )
    const told = JSON.parse(stdout || "{}")
    if (exitCode !== 0) return yield* Effect.fail(new Failure(`iperf3: ${told.error ?? exitCode}`))
    return { value: told.end.sum_received.bits_per_second / 1e9 }
  })
})
