/**
 * A whole TCP segment as a value. The checksum is a field like the others: nothing is verified or computed here.
 */
import * as HeaderWithOptions from "./HeaderWithOptions.ts"
import { TcpHeader } from "./TcpHeader.ts"
import * as TcpOptions from "./TcpOptions.ts"

export const schema = HeaderWithOptions.make(TcpHeader, TcpOptions.schema)

export type TcpSegment = typeof schema.Type
