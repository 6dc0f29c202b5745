/**
 * What a user can set about a connection, or about all of a stack.
 */

/** Durations in milliseconds. */
export interface TcpSettings {
  /** MSL of RFC 9293 §3.4.2; TIME-WAIT lasts twice as long. 30,000 by default. */
  readonly maximumSegmentLifetime: number
  /** RFC 6298 §2.4, and the least by which a timeout exceeds the smoothed round-trip time; 200 by default, both as in Linux. */
  readonly minimumRetransmissionTimeout: number
  /** RFC 6298 §2.5; 60,000 by default. */
  readonly maximumRetransmissionTimeout: number
  /** R2 of RFC 9293 §3.8.3 for data: retransmissions of one segment before the connection is given up; 15 by default. */
  readonly retransmissions: number
  /** R2 for SYN and SYN,ACK; 6 by default. */
  readonly synRetransmissions: number
  /** At most 500 (RFC 9293 §3.8.6.3); 40 by default. */
  readonly delayedAcknowledgement: number
  /** Segments that are acknowledged one by one when a connection begins, and after pauses; 16 by default, as in Linux. */
  readonly quickAcknowledgements: number
  /**
   * Octets that `write` lets into the send buffer beyond what was sent; 262,144 by default. A program is woken as segments leave, so that
   * more would not leave sooner, only stay behind what is written now. `Infinity` for no such bound.
   */
  readonly notSentLowWater: number
  /** Nagle's algorithm (RFC 9293 §3.7.4); true by default. */
  readonly nagle: boolean
  /** Windows of more than 65,535 octets (RFC 7323 §2); true by default. */
  readonly windowScaling: boolean
  /** The timestamps option (RFC 7323 §3), and with it PAWS and the detection of spurious timeouts; true by default. */
  readonly timestamps: boolean
  /** SACK (RFC 2018, 2883, 6675), and with it RACK-TLP (RFC 8985); true by default. */
  readonly selectiveAcknowledgement: boolean
  /** Whether the peer is told what came twice (RFC 2883), where there is SACK; true by default. */
  readonly duplicateSack: boolean
  /**
   * Explicit congestion notification (RFC 3168): asked for and granted, granted only, or neither. `"passive"` by default,
   * as in Linux.
   */
  readonly explicitCongestionNotification: "active" | "passive" | "off"
  /** Tail loss probes (RFC 8985 §7); true by default. */
  readonly tailLossProbe: boolean
  /**
   * The largest MSS that is announced, and used towards the peer, in octets, options included (RFC 9293 §3.7.1); no limit but that
   * of the interface's MTU by default. For paths, such as tunnels, that are known to carry less.
   */
  readonly maximumSegmentSize: number
  /** Whether the path is probed for the size of segments it carries, where ICMP does not tell (RFC 8899); true by default. */
  readonly pathMtuProbing: boolean
  /** Whether an idle connection asks its peer from time to time whether it is there (RFC 9293 §3.8.4); false by default. */
  readonly keepAlive: boolean
  /** How long nothing must have arrived before the first such question, 7,200,000 by default, and … */
  readonly keepAliveIdle: number
  /** … how long between one and the next, 75,000 by default. */
  readonly keepAliveInterval: number
  /** How many of them stay without answer before the connection is given up; 9 by default. */
  readonly keepAliveProbes: number
  /**
   * USER TIMEOUT of RFC 9293 §3.9.1.1 and RFC 5482: how long text, or a SYN, may stay unacknowledged before the connection
   * is given up, and how long a closed window may stay closed; seen when the retransmission timer expires, or a probe or
   * keep-alive is due. `Infinity` by default.
   */
  readonly userTimeout: number
}

export const defaultSettings: TcpSettings = {
  maximumSegmentLifetime: 30_000,
  minimumRetransmissionTimeout: 200,
  maximumRetransmissionTimeout: 60_000,
  retransmissions: 15,
  synRetransmissions: 6,
  delayedAcknowledgement: 40,
  quickAcknowledgements: 16,
  notSentLowWater: 262_144,
  nagle: true,
  windowScaling: true,
  timestamps: true,
  selectiveAcknowledgement: true,
  duplicateSack: true,
  explicitCongestionNotification: "passive",
  tailLossProbe: true,
  maximumSegmentSize: Infinity,
  pathMtuProbing: true,
  keepAlive: false,
  keepAliveIdle: 7_200_000,
  keepAliveInterval: 75_000,
  keepAliveProbes: 9,
  userTimeout: Infinity
}
