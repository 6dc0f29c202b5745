/**
 * The end of a test: what one side measured as results for the other, and both put together.
 */
import type { Ended, Load, SideTotal, StreamTotal } from "./Event.ts"
import type { Summary, Total } from "./Measurement.ts"
import * as Results from "./Results.ts"

const congestionOf = ({ totals }: Summary): string | undefined => totals[0]?.stream.info?.().congestion.algorithm

/** What this side tells the other. */
export const toResults = (summary: Summary, serverOutput?: Ended["serverOutput"]): Results.Results => {
  const { load, totals } = summary
  const congestion = congestionOf(summary)
  const sends = totals.some(({ stream }) => stream.sends)
  return {
    cpu_util_total: load.total,
    cpu_util_user: load.user,
    cpu_util_system: load.system,
    sender_has_retransmits: !sends ? -1 : congestion === undefined ? 0 : 1,
    ...congestion !== undefined && { congestion_used: congestion },
    ...serverOutput?.text !== undefined && { server_output_text: serverOutput.text },
    ...serverOutput?.json !== undefined && { server_output_json: serverOutput.json },
    streams: totals.map((total) => ({
      id: total.stream.id,
      bytes: total.bytes,
      retransmits: total.retransmits ?? -1,
      jitter: total.jitter / 1000,
      errors: total.lost,
      packets: total.packets,
      omitted_errors: 0,
      omitted_packets: 0,
      start_time: 0,
      end_time: total.seconds
    }))
  }
}

/** The other side of one of our streams. */
const remoteTotal = (results: Results.Results, { seconds, stream }: Total): SideTotal | undefined => {
  const told = Results.ofStream(results, stream.id)
  if (told === undefined) return undefined
  const counts = !stream.sends && stream.info !== undefined && results.sender_has_retransmits === 1
  return {
    seconds: told.end_time === undefined ? seconds : told.end_time - (told.start_time ?? 0),
    bytes: told.bytes,
    retransmits: counts ? told.retransmits : undefined,
    packets: told.packets,
    lost: told.errors,
    outOfOrder: 0,
    jitter: told.jitter * 1000
  }
}

const IDLE: Load = { total: 0, user: 0, system: 0 }

/** What is reported: with `theirs`, both sides of each stream. */
export const toEnded = (summary: Summary, results: Results.Results | undefined, theirs: boolean): Ended => {
  const own = congestionOf(summary)
  const sends = summary.totals[0]?.stream.sends === true
  const remote = results?.congestion_used
  const streams = summary.totals.map((total): StreamTotal => {
    const other = theirs && results !== undefined ? remoteTotal(results, total) : undefined
    const { path, stream } = total
    return stream.sends
      ? { stream, sender: total, receiver: other, path }
      : { stream, sender: other, receiver: total, path }
  })
  return {
    _tag: "Ended",
    streams,
    load: summary.load,
    remoteLoad: results === undefined
      ? IDLE
      : { total: results.cpu_util_total, user: results.cpu_util_user, system: results.cpu_util_system },
    congestion: sends ? { sender: own, receiver: remote } : { sender: remote, receiver: own },
    serverOutput: theirs && results !== undefined
      ? { text: results.server_output_text, json: results.server_output_json }
      : undefined
  }
}
