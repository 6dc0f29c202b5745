/**
 * A whole TCP segment as a value. The checksum is a field like the others: nothing is verified or computed here.
 */
import * as HeaderWithOptions from "./HeaderWithOptions.ts"
import { TcpHeader } from "./TcpHeader.ts"
import * as TcpOptions from "./TcpOptions.ts"

/** From octets to a header with its options and the text, and back. */
export const schema = HeaderWithOptions.make(TcpHeader, TcpOptions.schema)

/** A header with its options, and the text. */
export type TcpSegment = typeof schema.Type
