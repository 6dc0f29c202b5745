/**
 * What happened to one connection, in the machine's own words; the shell adds it up for the stack.
 *
 * A record of this kind is replaced only when something is counted, so that
 * whoever compares two control blocks sees at once whether anything was.
 */
import type { Statistics } from "../Statistics.ts"

/** Segments where nothing else is said. `Netstat` has the names of Linux's tables for those that mean the same. */
export interface Counts {
  /** Text, SYNs or FINs sent again, and the octets of text among them. */
  readonly retransmitted: number
  readonly retransmittedOctets: number
  /** Of these: in fast recovery; after a timeout, but for the segment that it sent again itself; SYNs. */
  readonly fastRetransmits: number
  readonly slowRetransmits: number
  readonly synRetransmits: number
  /** Times the retransmission timer expired. */
  readonly timeouts: number
  /** Octets that were thought lost. */
  readonly lostOctets: number
  /** Retransmissions that were lost again. */
  readonly lostRetransmissions: number
  /** Times recovery began by SACK or RACK, and by duplicates. A tail loss probe that repaired a loss is none of them. */
  readonly sackRecoveries: number
  readonly renoRecoveries: number
  /** Times that a loss of fast recovery turned out to be none: by D-SACK; by timestamps, or an answer that came too soon. */
  readonly duplicateUndos: number
  readonly timestampUndos: number
  /** Times that a timeout turned out to be one too many; and those of them that F-RTO found. */
  readonly timeoutUndos: number
  readonly spuriousTimeouts: number
  /** Tail loss probes, and losses they repaired. */
  readonly tailProbes: number
  readonly tailRecoveries: number
  /** Acknowledgements that told of segments overtaken by later ones. */
  readonly reorderings: number
  /** D-SACK blocks received, and sent. */
  readonly duplicatesReported: number
  readonly duplicatesReceived: number
  /** Times the peer took back what it had selectively acknowledged. */
  readonly renegings: number
  /** Segments dropped by PAWS. */
  readonly pawsRejected: number
  /** Segments dropped since they lacked the timestamps that were agreed on. */
  readonly timestampsMissing: number
  /** Echoes of congestion that lowered the window. */
  readonly congestionEchoes: number
  /** Times large segments were given up, as none passed; probes of larger ones that passed, and that did not. */
  readonly blackHoles: number
  readonly mtuProbesAnswered: number
  readonly mtuProbesLost: number
  /** Challenge acknowledgements sent. */
  readonly challenges: number
  /** Window probes and keep-alive probes sent. */
  readonly windowProbes: number
  readonly keepAlives: number
  /** Acknowledgements that the timer sent, as nothing else had carried them. */
  readonly delayedAcknowledgements: number
  /** Segments whose text a closed window kept out, or too many gaps before it. */
  readonly windowRejected: number
  readonly gapsRejected: number
}

export const NO_COUNTS: Counts = {
  retransmitted: 0,
  retransmittedOctets: 0,
  fastRetransmits: 0,
  slowRetransmits: 0,
  synRetransmits: 0,
  timeouts: 0,
  lostOctets: 0,
  lostRetransmissions: 0,
  sackRecoveries: 0,
  renoRecoveries: 0,
  duplicateUndos: 0,
  timestampUndos: 0,
  timeoutUndos: 0,
  spuriousTimeouts: 0,
  tailProbes: 0,
  tailRecoveries: 0,
  reorderings: 0,
  duplicatesReported: 0,
  duplicatesReceived: 0,
  renegings: 0,
  pawsRejected: 0,
  timestampsMissing: 0,
  congestionEchoes: 0,
  blackHoles: 0,
  mtuProbesAnswered: 0,
  mtuProbesLost: 0,
  challenges: 0,
  windowProbes: 0,
  keepAlives: 0,
  delayedAcknowledgements: 0,
  windowRejected: 0,
  gapsRejected: 0
}

/** `counts` with `by` more of `name`. */
export const count = (counts: Counts, name: keyof Counts, by = 1): Counts => ({ ...counts, [name]: counts[name] + by })

const names = Object.keys(NO_COUNTS) as ReadonlyArray<keyof Counts>

/** A function that adds what was counted between two values to the stack's counters, which are named `tcp.<name>`. */
export const makeAdder = (statistics: Statistics["Service"]) => {
  const counters = names.map((name) => statistics.counter(`tcp.${name}`))
  return (before: Counts, after: Counts): void => {
    for (let index = 0; index < names.length; index++) {
      const name = names[index]!
      counters[index]!.value += after[name] - before[name]
    }
  }
}
