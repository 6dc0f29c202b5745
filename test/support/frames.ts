/**
 * Ethernet frames that nobody but the tests understands.
 */
import { EthernetHeader } from "@strata/core/wire/EthernetHeader"

/** Local experimental (IEEE 802). */
export const EXPERIMENTAL = 0x88b5

/** `length` octets, all `mark` behind the header. */
export const frame = (destination: number, source: number, length: number, mark: number) => {
  const bytes = new Uint8Array(length).fill(mark)
  const view = new DataView(bytes.buffer)
  EthernetHeader.set.destination(view, 0, destination)
  EthernetHeader.set.source(view, 0, source)
  EthernetHeader.set.etherType(view, 0, EXPERIMENTAL)
  return bytes
}

export const typeOf = (bytes: Uint8Array) => EthernetHeader.get.etherType(new DataView(bytes.buffer), 0)
