/**
 * The shape of a dump: a line per field, its label right-aligned before a colon.
 */

const LABEL = 11

export type Field = readonly [label: string, value: string | number]

export const formatFields = (fields: ReadonlyArray<Field>): ReadonlyArray<string> =>
  fields.map(([label, value]) => `${label.padStart(LABEL)}: ${value}`)

/** A number as `0x` and at least that many hexadecimal digits. */
export const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`
