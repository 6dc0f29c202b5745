/**
 * UDP (RFC 768).
 */
import * as Field from "./Field.ts"
import * as Header from "./Header.ts"

/** RFC 768. */
export const UdpHeader = Header.make("Udp", {
  sourcePort: Field.u16,
  destinationPort: Field.u16,
  length: Field.u16,
  checksum: Field.u16
})
