/**
 * What happened to one connection, in the machine's own words; the shell adds it up for the stack.
 *
 * A record of this kind is replaced only when something is counted, so that
 * whoever compares two control blocks sees at once whether anything was.
 */

/** Segments where nothing else is said. Names of Linux's tables stand beside those that mean the same. */
export interface Counts {
  /** Text or FINs sent again (`Tcp: RetransSegs`), and their octets. */
  readonly retransmitted: number
  readonly retransmittedOctets: number
  /** Octets of them in fast recovery, …*/
  readonly fastRetransmits: number
  /** Times the retransmission timer expired (`TCPTimeouts`). */
  readonly timeouts: number
  /** Octets that were thought lost. */
  readonly lostOctets: number
  /** Retransmissions that were lost again (`TCPLostRetransmit`). */
  readonly lostRetransmissions: number
  /** Times recovery began by SACK or RACK (`TCPSackRecovery`) and by duplicates (`TCPRenoRecovery`). */
  readonly sackRecoveries: number
  readonly renoRecoveries: number
  /** Times that loss turned out to be none: timeouts (`TCPSpuriousRTOs`), D-SACK (`TCPDSACKUndo`), timestamps (`TCPFullUndo`). */
  readonly spuriousTimeouts: number
  readonly duplicateUndos: number
  readonly timestampUndos: number
  /** Tail loss probes (`TCPLossProbes`), and losses they repaired (`TCPLossProbeRecovery`). */
  readonly tailProbes: number
  readonly tailRecoveries: number
  /** Times segments were seen to overtake others (`TCPSACKReorder`). */
  readonly reorderings: number
  /** D-SACK blocks received (`TCPDSACKRecv`) and sent (`TCPDSACKOldSent`). */
  readonly duplicatesReported: number
  readonly duplicatesReceived: number
  /** Times the peer took back what it had selectively acknowledged (`TCPSACKReneging`). */
  readonly renegings: number
  /** Segments dropped by PAWS (`PAWSEstab`). */
  readonly pawsRejected: number
  /** Segments dropped since they lacked the timestamps that were agreed on. */
  readonly timestampsMissing: number
  /** Echoes of congestion that lowered the window. */
  readonly congestionEchoes: number
  /** Challenge acknowledgements (`TCPChallengeACK`) sent. */
  readonly challenges: number
  /** Window probes (`TCPWinProbe`) and keep-alive probes (`TCPKeepAlive`) sent. */
  readonly windowProbes: number
  readonly keepAlives: number
}

export const NO_COUNTS: Counts = {
  retransmitted: 0,
  retransmittedOctets: 0,
  fastRetransmits: 0,
  timeouts: 0,
  lostOctets: 0,
  lostRetransmissions: 0,
  sackRecoveries: 0,
  renoRecoveries: 0,
  spuriousTimeouts: 0,
  duplicateUndos: 0,
  timestampUndos: 0,
  tailProbes: 0,
  tailRecoveries: 0,
  reorderings: 0,
  duplicatesReported: 0,
  duplicatesReceived: 0,
  renegings: 0,
  pawsRejected: 0,
  timestampsMissing: 0,
  congestionEchoes: 0,
  challenges: 0,
  windowProbes: 0,
  keepAlives: 0
}

/** `counts` with `by` more of `name`. */
export const count = (counts: Counts, name: keyof Counts, by = 1): Counts => ({ ...counts, [name]: counts[name] + by })
