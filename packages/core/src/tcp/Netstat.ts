/**
 * The counters of TCP under the names of Linux: those of `/proc/net/snmp` (RFC 4022) and of `/proc/net/netstat`.
 *
 * Only counters that mean the same are here, so that figures can be laid beside those of `nstat`. Segments are those on the wire.
 */

/** A counter of Linux, as a sum of counters of `Statistics` less others. */
export interface LinuxCounter {
  readonly table: "Tcp" | "TcpExt"
  readonly name: string
  readonly of: ReadonlyArray<string>
  readonly less?: ReadonlyArray<string>
}

const counter = (
  table: LinuxCounter["table"],
  name: string,
  of: string | ReadonlyArray<string>,
  less?: ReadonlyArray<string>
): LinuxCounter => ({ table, name, of: typeof of === "string" ? [of] : of, ...(less === undefined ? {} : { less }) })

/** In the order of Linux. */
export const LINUX_COUNTERS: ReadonlyArray<LinuxCounter> = [
  counter("Tcp", "ActiveOpens", "tcp.activeOpens"),
  counter("Tcp", "PassiveOpens", "tcp.passiveOpens"),
  counter("Tcp", "AttemptFails", "tcp.failedAttempts"),
  counter("Tcp", "EstabResets", "tcp.establishedResets"),
  counter("Tcp", "CurrEstab", "tcp.established"),
  counter("Tcp", "InSegs", "tcp.received"),
  counter("Tcp", "OutSegs", "tcp.sent", ["tcp.retransmitted"]),
  counter("Tcp", "RetransSegs", "tcp.retransmitted"),
  counter("Tcp", "InErrs", [
    "tcp.dropped.truncated",
    "tcp.dropped.badDataOffset",
    "tcp.dropped.badChecksum",
    "tcp.dropped.zeroPort",
    "tcp.dropped.badOptions"
  ]),
  counter("Tcp", "OutRsts", "tcp.resetsSent"),
  counter("Tcp", "InCsumErrors", "tcp.dropped.badChecksum"),
  counter("TcpExt", "SyncookiesSent", "tcp.synCookiesSent"),
  counter("TcpExt", "SyncookiesRecv", "tcp.synCookiesReceived"),
  counter("TcpExt", "SyncookiesFailed", "tcp.synCookiesFailed"),
  counter("TcpExt", "OutOfWindowIcmps", "tcp.dropped.errorOutOfWindow"),
  counter("TcpExt", "TWRecycled", "tcp.timeWaitsReused"),
  counter("TcpExt", "PAWSEstab", "tcp.pawsRejected"),
  counter("TcpExt", "DelayedACKs", "tcp.delayedAcknowledgements"),
  counter("TcpExt", "ListenOverflows", "tcp.dropped.acceptQueueFull"),
  counter("TcpExt", "ListenDrops", ["tcp.dropped.acceptQueueFull", "tcp.dropped.synQueueFull"]),
  counter("TcpExt", "TCPHPHits", "tcp.predictedText"),
  counter("TcpExt", "TCPHPAcks", "tcp.predictedAcknowledgements"),
  counter("TcpExt", "TCPRenoRecovery", "tcp.renoRecoveries"),
  counter("TcpExt", "TCPSackRecovery", "tcp.sackRecoveries"),
  counter("TcpExt", "TCPSACKReneging", "tcp.renegings"),
  counter("TcpExt", "TCPSACKReorder", "tcp.reorderings"),
  counter("TcpExt", "TCPFullUndo", "tcp.timestampUndos"),
  counter("TcpExt", "TCPDSACKUndo", "tcp.duplicateUndos"),
  counter("TcpExt", "TCPLossUndo", "tcp.timeoutUndos"),
  counter("TcpExt", "TCPLostRetransmit", "tcp.lostRetransmissions"),
  counter("TcpExt", "TCPFastRetrans", "tcp.fastRetransmits"),
  counter("TcpExt", "TCPSlowStartRetrans", "tcp.slowRetransmits"),
  counter("TcpExt", "TCPTimeouts", "tcp.timeouts"),
  counter("TcpExt", "TCPLossProbes", "tcp.tailProbes"),
  counter("TcpExt", "TCPLossProbeRecovery", "tcp.tailRecoveries"),
  counter("TcpExt", "TCPDSACKOldSent", "tcp.duplicatesReceived"),
  counter("TcpExt", "TCPDSACKRecv", "tcp.duplicatesReported"),
  counter("TcpExt", "TCPAbortOnData", "tcp.heardAfterClose"),
  counter("TcpExt", "TCPAbortOnClose", "tcp.closedUnread"),
  counter("TcpExt", "TCPAbortOnMemory", "tcp.orphansReset"),
  counter("TcpExt", "TCPAbortOnTimeout", "tcp.timedOut"),
  counter("TcpExt", "TCPSpuriousRTOs", "tcp.spuriousTimeouts"),
  counter("TcpExt", "TCPTimeWaitOverflow", "tcp.timeWaitOverflows"),
  counter("TcpExt", "TCPReqQFullDrop", "tcp.dropped.synQueueFull"),
  counter("TcpExt", "TCPOFOQueue", "tcp.outOfOrder"),
  counter("TcpExt", "TCPOFODrop", "tcp.gapsRejected"),
  counter("TcpExt", "TCPChallengeACK", "tcp.challenges", ["tcp.challengesLimited"]),
  counter("TcpExt", "TCPFromZeroWindowAdv", "tcp.windowsReopened"),
  counter("TcpExt", "TCPToZeroWindowAdv", "tcp.windowsClosed"),
  counter("TcpExt", "TCPSynRetrans", "tcp.synRetransmits"),
  counter("TcpExt", "TCPOrigDataSent", ["tcp.textSent", "tcp.synRetransmits"], ["tcp.retransmitted"]),
  counter("TcpExt", "TCPWinProbe", "tcp.windowProbes"),
  counter("TcpExt", "TCPKeepAlive", "tcp.keepAlives"),
  counter("TcpExt", "TCPMTUPFail", "tcp.mtuProbesLost"),
  counter("TcpExt", "TCPMTUPSuccess", "tcp.mtuProbesAnswered"),
  counter("TcpExt", "TCPZeroWindowDrop", "tcp.windowRejected")
]

type Snapshot = Readonly<Record<string, number>>

const sum = (counters: Snapshot, names: ReadonlyArray<string>): number =>
  names.reduce((total, name) => total + (counters[name] ?? 0), 0)

/** A snapshot of `Statistics` under the names that `nstat` prints, such as `TcpRetransSegs`; zeros included. */
export const toLinux = (counters: Snapshot): Snapshot =>
  Object.fromEntries(LINUX_COUNTERS.map(({ less = [], name, of, table }) => [
    `${table}${name}`,
    sum(counters, of) - sum(counters, less)
  ]))

/** A snapshot of `Statistics` as `nstat` prints it: a line for each counter that is not zero. */
export const format = (counters: Snapshot): string =>
  Object.entries(toLinux(counters))
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name.padEnd(32)}${value}\n`)
    .join("")
