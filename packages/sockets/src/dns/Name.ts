/**
 * Domain names as they travel, and as text (RFC 1035 §3.1, §4.1.4, §5.1).
 *
 * A `Name` is absolute and loses nothing: one character for each octet, a dot behind each label, and a backslash in
 * front of a dot or a backslash that is part of a label. So a label `a.b` is never mistaken for two labels. The
 * root is `"."`.
 *
 * What is read is bounded: a name has 255 octets at most, and a pointer leads strictly backwards.
 */
export type Name = string

/** RFC 1035 §2.3.4. */
const MAX_NAME = 255
const MAX_LABEL = 63
/** More pointers in one name than labels fit into it have no purpose. */
const MAX_POINTERS = 127

const DOT = 0x2e
const BACKSLASH = 0x5c

/** The name at `at`, and where it ends there; undefined when there is none. */
export const read = (bytes: Uint8Array, at: number): { readonly name: Name; readonly end: number } | undefined => {
  let name = ""
  let octets = 1
  let end: number | undefined
  let earliest = at
  for (let pointers = 0; pointers <= MAX_POINTERS;) {
    const length = bytes[at]
    if (length === undefined) return undefined
    if (length === 0) return { name: name === "" ? "." : name, end: end ?? at + 1 }
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | (bytes[at + 1] ?? 0xffff)
      if (target >= earliest) return undefined
      end ??= at + 2
      at = earliest = target
      pointers++
      continue
    }
    octets += 1 + length
    if (length > MAX_LABEL || octets > MAX_NAME || at + 1 + length > bytes.length) return undefined
    name += labelText(bytes, at + 1, at + 1 + length)
    at += 1 + length
  }
  return undefined
}

const labelText = (bytes: Uint8Array, from: number, to: number): string => {
  let text = ""
  for (let at = from; at < to; at++) {
    const octet = bytes[at]!
    if (octet === DOT || octet === BACKSLASH) text += "\\"
    text += String.fromCharCode(octet)
  }
  return `${text}.`
}

/** The octets of a name, uncompressed, or undefined when it is too long or no name. */
export const write = (name: Name): Uint8Array | undefined => {
  const octets: Array<number> = []
  let label: Array<number> = []
  if (name !== ".") {
    for (let at = 0; at < name.length; at++) {
      if (name[at] !== ".") {
        if (name[at] === "\\") at++
        label.push(name.charCodeAt(at) & 0xff)
        continue
      }
      if (label.length === 0 || label.length > MAX_LABEL) return undefined
      octets.push(label.length, ...label)
      label = []
    }
    if (label.length > 0 || octets.length === 0) return undefined
  }
  octets.push(0)
  return octets.length > MAX_NAME ? undefined : Uint8Array.from(octets)
}

/** RFC 4343: letters of ASCII are the same in both cases, and nothing else is. */
export const fold = (name: Name): Name => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())

const decoder = new TextDecoder()

/** A name for people: its octets as UTF-8, still absolute and with its escapes. */
export const toText = (name: Name): string =>
  /[^\0-\x7f]/.test(name) ? decoder.decode(Uint8Array.from(name, (character) => character.charCodeAt(0))) : name
