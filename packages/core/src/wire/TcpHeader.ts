/**
 * The TCP header without its options (RFC 9293 §3.1).
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** RFC 9293 §3.1, without options. */
export const TcpHeader = Header.make("Tcp", {
  sourcePort: Field.u16,
  destinationPort: Field.u16,
  sequence: Field.u32,
  acknowledgement: Field.u32,
  headerWords: Field.bits(4),
  reserved: Field.bits(4),
  flags: Field.flags(["cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"]),
  window: Field.u16,
  checksum: Field.u16,
  urgentPointer: Field.u16
})

/** The control bits as they stand in `flags`. */
export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const
