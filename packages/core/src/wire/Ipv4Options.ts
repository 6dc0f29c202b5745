/**
 * The options of an IPv4 header (RFC 791 §3.1, RFC 2113).
 *
 * `parse` is what the data path uses: it tells what matters about options without building anything. `schema` turns
 * their bytes into a list of readable values and back.
 */
import * as Field from "./Field.ts"
import * as Options from "./Options.ts"

/** The whole type octet, with its copied flag and class. */
export const Ipv4OptionKind = {
  end: 0,
  noOperation: 1,
  recordRoute: 7,
  timestamp: 68,
  looseSourceRoute: 131,
  strictSourceRoute: 137,
  routerAlert: 148
} as const

/** `pointer` counts octets of the option from 1; the next free or next used address stands there. */
const route = (kind: number) => ({
  kind,
  fields: { pointer: Field.u8 },
  items: { name: "route" as const, fields: { address: Field.ipv4 }, minimum: 0 }
})

/** Between the options' bytes and a list of readable values. */
export const schema = Options.make("Ipv4", {
  RecordRoute: route(Ipv4OptionKind.recordRoute),
  LooseSourceRoute: route(Ipv4OptionKind.looseSourceRoute),
  StrictSourceRoute: route(Ipv4OptionKind.strictSourceRoute),
  /** With `flag` 0 each entry is a time, with 1 and 3 an address and then a time. */
  Timestamp: {
    kind: Ipv4OptionKind.timestamp,
    fields: { pointer: Field.u8, overflow: Field.bits(4), flag: Field.bits(4) },
    items: { name: "entries", fields: { value: Field.u32 }, minimum: 0 }
  },
  /** Value 0: routers look at the packet (RFC 2113 §2.1). */
  RouterAlert: { kind: Ipv4OptionKind.routerAlert, fields: { value: Field.u16 } }
})

/** What `parse` found, to be or-ed. */
export const Ipv4OptionsFound = {
  /** Nothing of note. */
  none: 0,
  sourceRoute: 1,
  recordRoute: 2,
  timestamp: 4,
  routerAlert: 8,
  /** Bytes that are no options; nothing else in the result counts. */
  malformed: 16
} as const

const KIND_AND_LENGTH = 2

/** Looks at the options in `[at, end)`; the result is made of `Ipv4OptionsFound`. */
export const parse = (view: DataView, at: number, end: number): number => {
  let found: number = Ipv4OptionsFound.none
  while (at < end) {
    const kind = view.getUint8(at)
    if (kind === Ipv4OptionKind.end) return found
    if (kind === Ipv4OptionKind.noOperation) {
      at++
      continue
    }
    if (at + KIND_AND_LENGTH > end) return Ipv4OptionsFound.malformed
    const length = view.getUint8(at + 1)
    if (length < KIND_AND_LENGTH || at + length > end) return Ipv4OptionsFound.malformed
    switch (kind) {
      case Ipv4OptionKind.looseSourceRoute:
      case Ipv4OptionKind.strictSourceRoute:
        if (length % 4 !== 3) return Ipv4OptionsFound.malformed
        found |= Ipv4OptionsFound.sourceRoute
        break
      case Ipv4OptionKind.recordRoute:
        if (length % 4 !== 3) return Ipv4OptionsFound.malformed
        found |= Ipv4OptionsFound.recordRoute
        break
      case Ipv4OptionKind.timestamp:
        if (length % 4 !== 0) return Ipv4OptionsFound.malformed
        found |= Ipv4OptionsFound.timestamp
        break
      case Ipv4OptionKind.routerAlert:
        if (length !== 4) return Ipv4OptionsFound.malformed
        found |= Ipv4OptionsFound.routerAlert
        break
    }
    at += length
  }
  return found
}
