/**
 * A whole IPv4 packet as a value. Lengths and checksum are fields like the others: nothing is verified or computed
 * here, and what a link padded is part of the payload.
 */
import * as HeaderWithOptions from "./HeaderWithOptions.ts"
import { Ipv4Header } from "./Ipv4Header.ts"
import * as Ipv4Options from "./Ipv4Options.ts"

/** From octets to a header with its options and the payload, and back. */
export const schema = HeaderWithOptions.make(Ipv4Header, Ipv4Options.schema)

/** A header with its options, and the payload. */
export type Ipv4Packet = typeof schema.Type
