/**
 * A test in lines of text, laid out as iperf3 does.
 */
import { formatInet, fromIpv4 } from "@strata/core/wire/Address"
import type { InetAddressV4 } from "effect/net/NetAddress"
import type { Ended, Event, Interval, Sample, SideTotal, StreamName } from "./Event.ts"
import type { Parameters } from "./Parameters.ts"
import { formatBytes, formatRate, type RateUnit } from "./Units.ts"

const RULE = "- - - - - - - - - - - - - - - - - - - - - - - - -"
const LINE = "-----------------------------------------------------------"

export interface Reporter {
  /** The lines that an event adds. */
  readonly lines: (event: Event) => ReadonlyArray<string>
}

type Side = "client" | "server"

/** What the reports of one test depend on. */
interface Setting {
  readonly side: Side
  readonly parameters: Parameters
  readonly unit: RateUnit | undefined
}

const host = ({ address }: InetAddressV4): string => formatInet(fromIpv4(address), 0).split(":")[0]!

const both = ({ parameters }: Setting): boolean => parameters.direction === "both"
const isUdp = ({ parameters }: Setting): boolean => parameters.protocol === "udp"

/** Whether this side sends in a test of one direction. */
const sends = ({ parameters, side }: Setting): boolean => (parameters.direction === "forward") === (side === "client")

const roleOf = (setting: Setting, sender: boolean): string =>
  both(setting) ? `[${sender ? "TX" : "RX"}-${setting.side === "client" ? "C" : "S"}]` : ""

const title = ({ parameters }: Setting, line: string): string =>
  parameters.title === undefined ? line : `${parameters.title}:  ${line}`

const head = (setting: Setting, columns: string): string =>
  `[ ID]${both(setting) ? "[Role]" : ""} Interval           Transfer     Bitrate${columns}`

const JITTER = "         Jitter    Lost/Total Datagrams"

const intervalHead = (setting: Setting): string => {
  if (isUdp(setting)) return head(setting, both(setting) || !sends(setting) ? JITTER : "         Total Datagrams")
  return head(setting, both(setting) || sends(setting) ? "         Retr  Cwnd" : "")
}

const id = (name: StreamName | "SUM"): string => name === "SUM" ? "[SUM]" : `[${String(name.socket).padStart(3)}]`

/** A line up to its rate; seconds and octets. */
const lead = (
  setting: Setting,
  name: StreamName | "SUM",
  sender: boolean,
  { bytes, end, start }: { readonly start: number; readonly end: number; readonly bytes: number }
): string => {
  const rate = end > start ? bytes / (end - start) : 0
  const span = `${start.toFixed(2).padStart(6)}-${end.toFixed(2).padEnd(6)}`
  return `${id(name)}${roleOf(setting, sender)} ${span} sec  ${formatBytes(bytes)}  ${formatRate(rate, setting.unit)}`
}

const percent = (part: number, whole: number): string =>
  `${Number((whole > 0 ? (100 * part) / whole : 0).toPrecision(2))}%`

const losses = (
  { jitter, lost, packets }: { readonly jitter: number; readonly lost: number; readonly packets: number }
) => `  ${jitter.toFixed(3).padStart(5)} ms  ${lost}/${packets} (${percent(lost, packets)})  `

const retransmits = (count: number): string => `  ${String(count).padStart(3)}`

const sampleColumns = (setting: Setting, { path, stream, totals }: Sample): string => {
  if (isUdp(setting)) {
    if (!stream.sends) return losses({ ...totals, packets: totals.highest })
    return `${both(setting) ? " ".repeat(10) : ""}  ${totals.blocks}  `
  }
  if (path === undefined) return " ".repeat(18)
  return `${retransmits(path.retransmits)}   ${formatBytes(path.congestionWindow)}       `
}

/** Sums over streams of one direction; the jitter is their mean. */
const sumOf = (samples: ReadonlyArray<Sample>): Sample => {
  const first = samples[0]!
  const add = (pick: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + pick(sample), 0)
  return {
    ...first,
    totals: {
      bytes: add(({ totals }) => totals.bytes),
      blocks: add(({ totals }) => totals.blocks),
      highest: add(({ totals }) => totals.highest),
      lost: add(({ totals }) => totals.lost),
      outOfOrder: add(({ totals }) => totals.outOfOrder),
      jitter: add(({ totals }) => totals.jitter) / samples.length
    },
    path: first.path && { ...first.path, retransmits: add(({ path }) => path?.retransmits ?? 0) }
  }
}

const sumColumns = (setting: Setting, sum: Sample): string =>
  isUdp(setting) || sum.path === undefined
    ? sampleColumns(setting, sum)
    : `${retransmits(sum.path.retransmits)}${" ".repeat(13)}`

const intervalLines = (setting: Setting, interval: Interval): ReadonlyArray<string> => {
  const omitted = interval.omitted ? "(omitted)" : ""
  const line = (name: StreamName | "SUM", sample: Sample, columns: string) =>
    lead(setting, name, sample.stream.sends, { ...interval, bytes: sample.totals.bytes }) + columns + omitted
  const lines = interval.samples.map((sample) => line(sample.stream, sample, sampleColumns(setting, sample)))
  if (setting.parameters.parallel === 1) return lines
  for (const sender of [true, false]) {
    const samples = interval.samples.filter(({ stream }) => stream.sends === sender)
    if (samples.length === 0) continue
    const sum = sumOf(samples)
    lines.push(line("SUM", sum, sumColumns(setting, sum)))
  }
  return lines
}

const totalColumns = (setting: Setting, total: SideTotal, sender: boolean): string => {
  if (isUdp(setting)) return losses(sender ? { ...total, jitter: 0, lost: 0 } : total)
  return sender && total.retransmits !== undefined
    ? `${retransmits(total.retransmits)}${" ".repeat(13)}`
    : " ".repeat(18)
}

const sumTotals = (totals: ReadonlyArray<SideTotal>): SideTotal => {
  const add = (pick: (total: SideTotal) => number) => totals.reduce((sum, total) => sum + pick(total), 0)
  return {
    seconds: Math.max(...totals.map(({ seconds }) => seconds)),
    bytes: add(({ bytes }) => bytes),
    retransmits: totals[0]!.retransmits === undefined ? undefined : add(({ retransmits: count }) => count ?? 0),
    packets: add(({ packets }) => packets),
    lost: add(({ lost }) => lost),
    outOfOrder: add(({ outOfOrder }) => outOfOrder),
    jitter: add(({ jitter }) => jitter) / totals.length
  }
}

const isDefined = <A>(value: A | undefined): value is A => value !== undefined

const endHead = (setting: Setting, { streams }: Ended): string => {
  if (isUdp(setting)) return head(setting, JITTER)
  return head(setting, streams.some(({ sender }) => sender?.retransmits !== undefined) ? "         Retr" : "")
}

const endLines = (setting: Setting, ended: Ended): ReadonlyArray<string> => {
  const lines = [RULE, endHead(setting, ended)]
  const add = (name: StreamName | "SUM", sender: boolean, total: SideTotal | undefined, own: boolean) => {
    if (total === undefined) return
    const { bytes, seconds } = total
    lines.push(
      lead(setting, name, own, { start: 0, end: seconds, bytes }) + totalColumns(setting, total, sender) +
        (sender ? "sender" : "receiver")
    )
  }
  for (const { receiver, sender, stream } of ended.streams) {
    add(stream, true, sender, stream.sends)
    add(stream, false, receiver, stream.sends)
  }
  if (setting.parameters.parallel === 1) return lines
  for (const own of [true, false]) {
    const streams = ended.streams.filter(({ stream }) => stream.sends === own)
    for (const end of ["sender", "receiver"] as const) {
      const totals = streams.map((stream) => stream[end]).filter(isDefined)
      if (totals.length > 0) add("SUM", end === "sender", sumTotals(totals), own)
    }
  }
  return lines
}

/** Text of the other side, without what would steer a terminal. */
const printable = (line: string): string => line.replaceAll(/(?!\t)\p{Cc}/gu, "?")

const serverOutputLines = ({ serverOutput }: Ended): ReadonlyArray<string> => {
  if (serverOutput === undefined) return []
  if (serverOutput.text !== undefined) return ["", "Server output:", ...serverOutput.text.split("\n").map(printable)]
  return serverOutput.json === undefined
    ? []
    : ["", "Server JSON output:", ...JSON.stringify(serverOutput.json, null, 2).split("\n")]
}

const startLines = (setting: Setting, streams: ReadonlyArray<StreamName>): ReadonlyArray<string> => {
  const { parameters, side } = setting
  const peer = streams[0]
  const reverse = side === "client" && parameters.direction === "reverse" && peer !== undefined
    ? [`Reverse mode, remote host ${host(peer.remote)} is sending`]
    : []
  const connected = streams.map((stream) =>
    `${id(stream)} local ${host(stream.local)} port ${stream.local.port} ` +
    `connected to ${host(stream.remote)} port ${stream.remote.port}`
  )
  return [...reverse, ...connected]
}

/** Reports the tests of one side, one after the other. */
export const make = (unit?: RateUnit): Reporter => {
  let setting: Setting | undefined
  let intervals = 0

  const lines = (event: Event): ReadonlyArray<string> => {
    switch (event._tag) {
      case "Listening":
        return [LINE, `Server listening on ${event.port} (test #${event.test})`, LINE]
      case "Accepted":
        return [`Accepted connection from ${host(event.remote)}, port ${event.remote.port}`]
      case "Connecting":
        return [`Connecting to host ${host(event.remote)}, port ${event.remote.port}`]
      case "Started":
        setting = { side: event.side, parameters: event.parameters, unit }
        intervals = 0
        return startLines(setting, event.streams)
      case "Interval": {
        if (setting === undefined) return []
        const rule = intervals > 0 && setting.parameters.parallel > 1 ? [RULE] : []
        const header = intervals++ === 0 ? [intervalHead(setting)] : []
        return [...header, ...rule, ...intervalLines(setting, event)]
      }
      case "Ended":
        return setting === undefined ? [] : [...endLines(setting, event), ...serverOutputLines(event)]
      case "Done":
        return setting?.side === "client" ? ["", "iperf Done."] : []
      case "Failed":
        return []
    }
  }
  return {
    lines: (event) => {
      const made = lines(event)
      const current = setting
      return current === undefined || current.side === "server" ? made : made.map((line) => title(current, line))
    }
  }
}

/** All of them at once. */
export const text = (events: ReadonlyArray<Event>, unit?: RateUnit): string => {
  const reporter = make(unit)
  return events.flatMap(reporter.lines).map((line) => `${line}\n`).join("")
}
