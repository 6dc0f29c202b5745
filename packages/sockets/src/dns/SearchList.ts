/**
 * Which absolute names a name may stand for, in the order in which they are tried (resolv.conf(5), `search` and `ndots`).
 */
import { type Name, write } from "./Name.ts"

/** `name` as a program writes it; `search` are absolute. Names that would be too long are left out. */
export const candidates = (name: string, search: ReadonlyArray<Name>, ndots: number): ReadonlyArray<Name> => {
  if (name.endsWith(".")) return [name]
  const itself: Name = `${name}.`
  const within = search.map((domain): Name => domain === "." ? itself : `${itself}${domain}`)
  const dots = name.split(".").length - 1
  const all = dots >= ndots ? [itself, ...within] : [...within, itself]
  return [...new Set(all)].filter((candidate) => write(candidate) !== undefined)
}
