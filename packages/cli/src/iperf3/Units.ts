/**
 * Numbers as iperf3 writes and reads them: octets count by 1024, bits by 1000.
 */
import * as Option from "effect/Option"

/** `-f`: bits per second in a fixed unit, octets per second where the letter is a capital; undefined for what fits. */
export type RateUnit = "k" | "m" | "g" | "t" | "K" | "M" | "G" | "T"

const PREFIXES = ["", "K", "M", "G", "T"]

/** Three digits, and room for four. */
const digits = (value: number): string => value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0).padStart(4)

const scaled = (value: number, step: number, unit: string): string => {
  let power = 0
  let rest = value
  while (rest >= step && power < PREFIXES.length - 1) {
    rest /= step
    power++
  }
  return `${digits(rest)} ${PREFIXES[power]}${unit}`
}

export const formatBytes = (bytes: number): string => scaled(bytes, 1024, "Bytes")

/** Octets per second, in bits by default. */
export const formatRate = (bytesPerSecond: number, unit?: RateUnit): string => {
  if (unit === undefined) return `${scaled(bytesPerSecond * 8, 1000, "bits")}/sec`
  const prefix = unit.toUpperCase()
  const power = PREFIXES.indexOf(prefix)
  return unit === prefix
    ? `${digits(bytesPerSecond / 1024 ** power)} ${prefix}Bytes/sec`
    : `${digits((bytesPerSecond * 8) / 1000 ** power)} ${prefix}bits/sec`
}

const parse = (step: number) => (text: string): Option.Option<number> => {
  const [, number, prefix = ""] = /^(\d{1,15}(?:\.\d*)?)([kmgt]?)$/i.exec(text) ?? []
  if (number === undefined) return Option.none()
  return Option.some(Math.floor(Number(number) * step ** PREFIXES.indexOf(prefix.toUpperCase())))
}

/** `10`, `1.5M`: octets or blocks. */
export const parseSize = parse(1024)

/** `100M`: bits per second. */
export const parseRate = parse(1000)
