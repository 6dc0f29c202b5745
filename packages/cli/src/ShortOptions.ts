/**
 * Short options as getopt reads them: a value may stand right behind its letter (`-t5`, `-uRP4`), and a digit may be an
 * option.
 *
 * The parser of commands takes each letter for an option and `-1` for a number, so that the words are rewritten before.
 */

/** What a command has: the letters that take a value, and letters that stand for a long option. */
export interface ShortOptions {
  readonly withValue: string
  readonly words: Readonly<Record<string, string>>
}

const byCommand: Readonly<Record<string, ShortOptions>> = {
  iperf3: { withValue: "cpiftnkblPOCMwT", words: { "1": "--one-off" } }
}

const rewrite = ({ withValue, words }: ShortOptions, word: string): ReadonlyArray<string> => {
  if (!/^-[a-zA-Z1]/.test(word) || word.includes("=")) return [word]
  const made: Array<string> = []
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!
    const long = words[letter]
    if (long === undefined && !/[a-zA-Z]/.test(letter)) return [word]
    made.push(long ?? `-${letter}`)
    if (!withValue.includes(letter)) continue
    if (at + 1 < word.length) made.push(word.slice(at + 1))
    break
  }
  return made
}

/** The words of a command line as the parser understands them; those of other commands, and behind `--`, as they are. */
export const expand = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = args.findIndex((word) => Object.hasOwn(byCommand, word))
  if (at < 0) return args
  const options = byCommand[args[at]!]!
  const end = args.indexOf("--", at)
  const own = end < 0 ? args.slice(at + 1) : args.slice(at + 1, end)
  const rest = end < 0 ? [] : args.slice(end)
  return [...args.slice(0, at + 1), ...own.flatMap((word) => rewrite(options, word)), ...rest]
}
