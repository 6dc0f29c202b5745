/**
 * Octets for people, as `hexdump -C` prints them.
 */

const PER_LINE = 16

/** Sixteen octets to a line: offset, hexadecimal in two groups of eight, text with a dot for what cannot be printed. */
export const formatHexDump = (bytes: Uint8Array): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const piece = bytes.subarray(at, at + PER_LINE)
    const digits = Array.from(piece, (octet) => octet.toString(16).padStart(2, "0"))
    const groups = `${digits.slice(0, 8).join(" ").padEnd(23)}  ${digits.slice(8).join(" ").padEnd(23)}`
    lines.push(`${at.toString(16).padStart(8, "0")}  ${groups}  |${Array.from(piece, printable).join("")}|`)
  }
  return lines
}

const printable = (octet: number): string => octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : "."
