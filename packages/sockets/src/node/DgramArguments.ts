/**
 * The arguments of a datagram socket's methods, which come in many forms, and the errors of Node for what is none of them.
 */
import * as Errors from "./DgramErrors.ts"
import * as NodeErrors from "./NodeErrors.ts"

export type Chunk = string | NodeJS.ArrayBufferView
export type Message = Chunk | ReadonlyArray<Chunk>
export type Sent = (error: Error | null, bytes: number) => void

export interface Outgoing {
  readonly chunks: ReadonlyArray<NodeJS.ArrayBufferView>
  readonly port: number
  readonly address: string | undefined
  readonly callback: Sent | undefined
}

const BYTES = "of type string or an instance of Buffer, TypedArray, or DataView"

/** `(message, offset, length, …)` or `(message, …)`, then `callback`. */
export const toPeer = (given: ReadonlyArray<unknown>): Outgoing => {
  const [message, offset, length, port, address] = given
  const isSlice = typeof length === "number"
  const isDone = typeof port === "function"
  if ((port && !(isSlice && isDone)) || address) throw Errors.isConnected()
  const callback = isSlice ? (isDone ? port : given[5]) : offset
  return {
    chunks: chunksOf(isSlice ? slice(message, offset, length) : message),
    port: 0,
    address: undefined,
    callback: typeof callback === "function" ? callback as Sent : undefined
  }
}

/** `(message, offset, length, port, …)` or `(message, port, …)`, then `address` if any, then `callback`. */
export const toAnybody = (given: ReadonlyArray<unknown>): Outgoing => {
  const [, , , fourth, fifth] = given
  const isSlice = Boolean(fifth) || (Boolean(fourth) && typeof fourth !== "function")
  const chunks = chunksOf(isSlice ? slice(given[0], given[1], given[2]) : given[0])
  const at = isSlice ? 3 : 1
  const [port, address, last] = [given[at], given[at + 1], given[at + 2]]
  const number = checkPort("Port", port, false)
  if (typeof address === "function") return { chunks, port: number, address: undefined, callback: address as Sent }
  if (address !== undefined && address !== null) checkString("address", address)
  return {
    chunks,
    port: number,
    address: address as string | undefined,
    callback: typeof last === "function" ? last as Sent : undefined
  }
}

const isView = (value: unknown): value is NodeJS.ArrayBufferView => ArrayBuffer.isView(value)

const chunksOf = (message: unknown): ReadonlyArray<NodeJS.ArrayBufferView> => {
  if (!Array.isArray(message)) {
    if (typeof message === "string") return [Buffer.from(message)]
    if (isView(message)) return [message]
    throw NodeErrors.invalidType("buffer", BYTES, message)
  }
  return message.map((chunk: unknown) => {
    if (typeof chunk === "string") return Buffer.from(chunk)
    if (isView(chunk)) return chunk
    throw NodeErrors.invalidType("buffer list arguments", BYTES, message)
  })
}

/** To ask a small array for its buffer is to have one made, outside of the heap. */
const bytesOf = (view: NodeJS.ArrayBufferView): Uint8Array =>
  view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

const slice = (message: unknown, offset: unknown, length: unknown): Uint8Array => {
  const bytes = typeof message === "string" ? Buffer.from(message) : isView(message) ? bytesOf(message) : undefined
  if (bytes === undefined) throw NodeErrors.invalidType("buffer", BYTES, message)
  const start = Number(offset) >>> 0
  const end = start + (Number(length) >>> 0)
  if (start > bytes.length) throw Errors.outOfBounds("offset")
  if (end > bytes.length) throw Errors.outOfBounds("length")
  return bytes.subarray(start, end)
}

export const joined = (chunks: ReadonlyArray<NodeJS.ArrayBufferView>): Uint8Array =>
  chunks.length === 1 ? bytesOf(chunks[0]!) : Buffer.concat(chunks.map(bytesOf))

export const checkPort = (name: string, value: unknown, zero: boolean): number => {
  const port = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  if (typeof port !== "number" || !Number.isInteger(port) || port < (zero ? 0 : 1) || port > 0xffff) {
    throw Errors.badPort(name, value, zero)
  }
  return port
}

export const checkString = (name: string, value: unknown): void => {
  if (typeof value !== "string") throw NodeErrors.invalidType(name, "of type string", value)
}

export const checkSignal = (signal: unknown): void => {
  if (signal !== undefined && (typeof signal !== "object" || signal === null || !("aborted" in signal))) {
    throw NodeErrors.invalidType("options.signal", "an instance of AbortSignal", signal)
  }
}

export const checkNumber = (name: string, value: unknown): void => {
  if (typeof value !== "number") throw NodeErrors.invalidType(name, "of type number", value)
}

export const checkSize = (name: string, value: unknown): void => {
  if (!value) return
  checkNumber(name, value)
  if ((value as number) >>> 0 !== value) throw NodeErrors.outOfRange(name, ">= 0 && <= 4294967295", value)
}
