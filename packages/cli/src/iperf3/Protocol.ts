/**
 * The words of iperf3's protocol, as version 3.12 speaks it.
 *
 * A client opens a control connection, which begins with a cookie. Then single octets are states: the server leads from one
 * to the next, and the client says when the test ends. Two of them are followed by JSON from each side, with its length
 * in front. Every data connection begins with the cookie of its control connection.
 */

export const DEFAULT_PORT = 5201

/** One octet each, signed. */
export const State = {
  testStart: 1,
  testRunning: 2,
  testEnd: 4,
  paramExchange: 9,
  createStreams: 10,
  serverTerminate: 11,
  clientTerminate: 12,
  exchangeResults: 13,
  displayResults: 14,
  iperfStart: 15,
  iperfDone: 16,
  /** The server serves somebody else. */
  accessDenied: -1,
  /** Two words of 32 bits follow: what went wrong, and the number that the system gave it, or 0. */
  serverError: -2
} as const

/** Octets of a cookie on the wire: 36 characters and a NUL. */
export const COOKIE_LENGTH = 37

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

/** A new cookie; `below` draws a number under its bound. */
export const makeCookie = (below: (bound: number) => number): string =>
  Array.from({ length: COOKIE_LENGTH - 1 }, () => ALPHABET[below(ALPHABET.length)]).join("")

export const encodeCookie = (cookie: string): Uint8Array => {
  const bytes = new Uint8Array(COOKIE_LENGTH)
  for (let at = 0; at < cookie.length; at++) bytes[at] = cookie.charCodeAt(at)
  return bytes
}

/** The characters in front of the NUL; undefined for octets that nobody who speaks this protocol would send. */
export const decodeCookie = (bytes: Uint8Array): string | undefined => {
  const end = bytes.indexOf(0)
  if (bytes.length !== COOKIE_LENGTH || end <= 0) return undefined
  const characters = bytes.subarray(0, end)
  return characters.every((code) => code > 0x20 && code < 0x7f) ? String.fromCharCode(...characters) : undefined
}

/** What is said with `serverError`. */
export const Problem = {
  duration: 5,
  streams: 6,
  blockSize: 7,
  bufferSize: 8,
  segmentSize: 10,
  omit: 12,
  notImplemented: 13,
  endConditions: 16,
  datagramSize: 20,
  acceptStream: 104,
  controlMessage: 110,
  parameters: 114,
  results: 117,
  congestion: 134,
  idle: 144
} as const

const PROBLEMS: Readonly<Record<number, string>> = {
  [Problem.duration]: "the test would last too long",
  [Problem.streams]: "too many parallel streams",
  [Problem.blockSize]: "the blocks are too large",
  [Problem.bufferSize]: "the window is too large",
  [Problem.segmentSize]: "the segments are too large",
  [Problem.omit]: "too much is to be omitted",
  [Problem.notImplemented]: "it does not have what was asked for",
  [Problem.endConditions]: "there are several conditions for the end of the test",
  [Problem.datagramSize]: "datagrams have from 16 to 65507 bytes",
  [Problem.acceptStream]: "a stream could not be accepted",
  [Problem.controlMessage]: "it did not understand a message",
  [Problem.parameters]: "it did not understand the parameters",
  [Problem.results]: "it did not understand the results",
  [Problem.congestion]: "it does not have that congestion control",
  142: "it wants to know who asks",
  [Problem.idle]: "nothing arrived for too long"
}

/** What a server said went wrong. */
export const describeProblem = (problem: number): string => PROBLEMS[problem] ?? `error ${problem}`

/** JSON as it goes over the wire: its length in octets, 32 bits, then UTF-8. */
export const encodeJson = (value: unknown): Uint8Array => {
  const text = new TextEncoder().encode(JSON.stringify(value))
  const bytes = new Uint8Array(4 + text.length)
  new DataView(bytes.buffer).setUint32(0, text.length)
  bytes.set(text, 4)
  return bytes
}
