/**
 * Marks packets that meet congestion (RFC 3168 §5), as routers do.
 */
import type { Framing } from "@strata/core/device/Device"
import type { Packet } from "@strata/core/device/Packet"
import * as Checksum from "@strata/core/wire/Checksum"
import { EthernetHeader, EtherType } from "@strata/core/wire/EthernetHeader"
import { Ipv4Header } from "@strata/core/wire/Ipv4Header"

const ip = Ipv4Header.get

/** The ECN field; zero when the sender takes no notice of marks, all ones when congestion was met. */
const FIELD = 3

/** Sets "congestion experienced"; false for a packet whose sender takes no notice of it. */
export const markCongestion = ({ bytes, end, etherType, start, view }: Packet, framing: Framing): boolean => {
  const at = framing === "ethernet" ? start + EthernetHeader.size : start
  if (at + Ipv4Header.size > end) return false
  const type = framing === "ethernet" ? EthernetHeader.get.etherType(view, start) : etherType
  const typeOfService = view.getUint8(at + 1)
  if (type !== EtherType.ipv4 || (typeOfService & FIELD) === 0) return false
  view.setUint8(at + 1, typeOfService | FIELD)
  Ipv4Header.set.checksum(view, at, 0)
  Ipv4Header.set.checksum(view, at, Checksum.finish(Checksum.add(0, bytes, at, at + 4 * ip.headerWords(view, at))))
  return true
}
