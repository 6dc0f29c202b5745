/**
 * Short options with their values, as getopt has them.
 */
import { expand } from "@strata/cli/ShortOptions"
import { describe, expect, it } from "vitest"

describe("short options", () => {
  it.each([
    ["iperf3 -c 192.0.2.1 -t5", "iperf3 -c 192.0.2.1 -t 5"],
    ["iperf3 -uRP4 -b10M", "iperf3 -u -R -P 4 -b 10M"],
    ["iperf3 -s -1", "iperf3 -s --one-off"],
    ["iperf3 -s1J", "iperf3 -s --one-off -J"],
    ["iperf3 -t -1", "iperf3 -t --one-off"],
    ["iperf3 -b=1M --time=5 -", "iperf3 -b=1M --time=5 -"],
    ["iperf3 -- -t5", "iperf3 -- -t5"],
    ["--device tap:tap1 iperf3 -s1", "--device tap:tap1 iperf3 -s --one-off"],
    ["ping -c5 192.0.2.1", "ping -c5 192.0.2.1"],
    ["tcps -1", "tcps -1"]
  ])("%s", (given, expanded) => {
    expect(expand(given.split(" ")).join(" ")).toBe(expanded)
  })
})
