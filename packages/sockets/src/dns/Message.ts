/**
 * DNS messages (RFC 1035 §4.1): a question is written, an answer is read.
 *
 * Reading never throws and never fails halfway: a message is well formed from its first octet to the end of its last
 * record, or it is `undefined`. What is in a record is read later, by who wants that record (`RecordData.ts`).
 */
import * as Field from "@strata/core/wire/Field"
import * as Header from "@strata/core/wire/Header"
import { fold, type Name, read as readName } from "./Name.ts"

export const DnsHeader = Header.make("Dns", {
  id: Field.u16,
  response: Field.bits(1),
  opcode: Field.bits(4),
  authoritative: Field.bits(1),
  truncated: Field.bits(1),
  recursionDesired: Field.bits(1),
  recursionAvailable: Field.bits(1),
  reserved: Field.bits(3),
  rcode: Field.bits(4),
  questions: Field.u16,
  answers: Field.u16,
  authorities: Field.u16,
  additionals: Field.u16
})

/** The resource record in which EDNS travels (RFC 6891 §6.1.2). */
const OPT = 41
/** The class of the Internet. */
const IN = 1
/** Type and class of a question; type, class, TTL and length of a record. */
const QUESTION_TAIL = 4
const RECORD_TAIL = 10

/** RFC 1035 §4.1.1; RFC 6891 §9 for the last. */
export const Rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16
} as const

/** A record of class IN. */
export interface Resource {
  /** The owner, in lower case. */
  readonly name: Name
  readonly type: number
  /** Seconds. */
  readonly ttl: number
  /** Where its data is. */
  readonly start: number
  readonly end: number
}

export interface Message {
  readonly bytes: Uint8Array
  readonly id: number
  readonly response: boolean
  readonly opcode: number
  readonly truncated: boolean
  /** With the upper bits that EDNS adds. */
  readonly rcode: number
  readonly questions: number
  /** The question section as it is. */
  readonly question: Uint8Array
  readonly answers: ReadonlyArray<Resource>
  readonly authorities: ReadonlyArray<Resource>
}

/** The question section of one question. */
export const questionOf = (name: Uint8Array, type: number): Uint8Array =>
  Uint8Array.of(...name, type >>> 8, type & 0xff, 0, IN)

/** A question to a resolver that recurses; with the size of datagrams that can be received where EDNS is spoken. */
export const write = (id: number, question: Uint8Array, ednsSize: number | undefined): Uint8Array => {
  const { size } = DnsHeader
  // The root as the owner, the size in the place of the class, version 0 and no options.
  const edns = ednsSize === undefined ? [] : [0, 0, OPT, ednsSize >>> 8, ednsSize & 0xff, 0, 0, 0, 0, 0, 0]
  const bytes = new Uint8Array(size + question.length + edns.length)
  const view = new DataView(bytes.buffer)
  DnsHeader.set.id(view, 0, id)
  DnsHeader.set.recursionDesired(view, 0, 1)
  DnsHeader.set.questions(view, 0, 1)
  DnsHeader.set.additionals(view, 0, edns.length === 0 ? 0 : 1)
  bytes.set(question, size)
  bytes.set(edns, size + question.length)
  return bytes
}

/** A message, or undefined when the octets are none. */
export const read = (bytes: Uint8Array): Message | undefined => {
  const { get, size } = DnsHeader
  if (bytes.length < size) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const questions = get.questions(view, 0)
  const questionEnd = skipQuestions(bytes, size, questions)
  if (questionEnd === undefined) return undefined
  const answers = readSection(bytes, view, questionEnd, get.answers(view, 0))
  if (answers === undefined) return undefined
  const authorities = readSection(bytes, view, answers.end, get.authorities(view, 0))
  if (authorities === undefined) return undefined
  const additionals = readSection(bytes, view, authorities.end, get.additionals(view, 0))
  if (additionals === undefined) return undefined
  return {
    bytes,
    id: get.id(view, 0),
    response: get.response(view, 0) === 1,
    opcode: get.opcode(view, 0),
    truncated: get.truncated(view, 0) === 1,
    rcode: (additionals.extendedRcode << 4) | get.rcode(view, 0),
    questions,
    question: bytes.subarray(size, questionEnd),
    answers: answers.resources,
    authorities: authorities.resources
  }
}

const skipQuestions = (bytes: Uint8Array, at: number, count: number): number | undefined => {
  for (let index = 0; index < count; index++) {
    const name = readName(bytes, at)
    if (name === undefined) return undefined
    at = name.end + QUESTION_TAIL
  }
  return at > bytes.length ? undefined : at
}

interface Section {
  readonly resources: ReadonlyArray<Resource>
  readonly extendedRcode: number
  readonly end: number
}

const readSection = (bytes: Uint8Array, view: DataView, at: number, count: number): Section | undefined => {
  const resources: Array<Resource> = []
  let extendedRcode = 0
  for (let index = 0; index < count; index++) {
    const owner = readName(bytes, at)
    if (owner === undefined || owner.end + RECORD_TAIL > bytes.length) return undefined
    const type = view.getUint16(owner.end)
    const start = owner.end + RECORD_TAIL
    const end = start + view.getUint16(owner.end + 8)
    if (end > bytes.length) return undefined
    if (type === OPT) {
      extendedRcode = view.getUint8(owner.end + 4)
    } else if (view.getUint16(owner.end + 2) === IN) {
      resources.push({ name: fold(owner.name), type, ttl: lifetime(view.getUint32(owner.end + 4)), start, end })
    }
    at = end
  }
  return { resources, extendedRcode, end: at }
}

/** RFC 2181 §8: a TTL with its highest bit set counts as zero. */
const lifetime = (ttl: number): number => ttl >= 0x8000_0000 ? 0 : ttl

/** Whether two question sections are the same, up to the case of letters unless `exact`. */
export const sameQuestion = (left: Uint8Array, right: Uint8Array, exact: boolean): boolean =>
  left.length === right.length &&
  left.every((octet, at) => exact ? octet === right[at] : lowerCase(octet) === lowerCase(right[at]!))

const lowerCase = (octet: number): number => octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet
