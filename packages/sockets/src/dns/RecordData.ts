/**
 * What is in a record (RDATA), as records of `effect/net`.
 *
 * A record whose data does not hold together, or says what `Dns` cannot represent (such as a mail exchange whose name is
 * no host name), is `undefined`. Nothing is read beyond the end of the data, except through compressed names.
 */
import * as Duration from "effect/Duration"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type { Message, Resource } from "./Message.ts"
import * as Name from "./Name.ts"

/** The numbers of the types, from the registry of IANA. */
export const RecordTypes: Readonly<Record<Dns.RecordType, number>> = {
  A: 1,
  AAAA: 28,
  CAA: 257,
  CNAME: 5,
  MX: 15,
  NAPTR: 35,
  NS: 2,
  PTR: 12,
  SOA: 6,
  SRV: 33,
  TLSA: 52,
  TXT: 16
}

/** The data of one record, from its first octet to its last; whoever reads too far gets `undefined` at the end. */
class Data {
  private at: number
  private sound = true
  private readonly bytes: Uint8Array
  private readonly end: number

  constructor({ bytes }: Message, { end, start }: Resource) {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  /** Whether all of it, and no more, was read. */
  get complete(): boolean {
    return this.sound && this.at === this.end
  }

  get isEmpty(): boolean {
    return this.at >= this.end || !this.sound
  }

  take(length: number): Uint8Array {
    const taken = this.bytes.subarray(this.at, Math.min(this.at + length, this.end))
    if (taken.length < length) this.sound = false
    this.at += length
    return taken
  }

  rest(): Uint8Array {
    return this.take(Math.max(0, this.end - this.at))
  }

  number(octets: number): number {
    return this.take(octets).reduce((value, octet) => value * 0x100 + octet, 0)
  }

  /** A character string (RFC 1035 §3.3) as UTF-8. */
  text(): string {
    return decoder.decode(this.take(this.number(1)))
  }

  name(): Name.Name {
    const name = Name.read(this.bytes, this.at)
    if (name === undefined || name.end > this.end) {
      this.sound = false
      return "."
    }
    this.at = name.end
    return name.name
  }

  /** A name that hosts can have; throws otherwise, see `read`. */
  domain(): Host.DomainName {
    const name = this.name()
    // Other octets would be taken for text and written as another name (`xn--`).
    if (!/^[\w.-]+$/.test(name)) throw new RangeError(`${name} is not the name of a host`)
    return Host.domainNameFromStringUnsafe(name)
  }

  seconds(): Duration.Duration {
    return Duration.seconds(this.number(4))
  }
}

const decoder = new TextDecoder()

const strings = (data: Data): [string, ...Array<string>] => {
  const chunks: [string, ...Array<string>] = [data.text()]
  while (!data.isEmpty) chunks.push(data.text())
  return chunks
}

// Properties are read in the order in which they are written here, which is that of the wire.
const fields: { readonly [T in Dns.RecordType]: (data: Data) => Dns.RecordFields<T> } = {
  A: (data) => ({ address: NetAddress.ipv4FromBytesUnsafe(data.take(4)) }),
  AAAA: (data) => ({ address: NetAddress.ipv6FromBytesUnsafe(data.take(16)) }),
  // RFC 8659 §4.1: the first bit is the only flag.
  CAA: (data) => ({ critical: data.number(1) >= 0x80, tag: data.text(), value: decoder.decode(data.rest()) }),
  CNAME: (data) => ({ target: data.domain() }),
  MX: (data) => ({ priority: data.number(2), exchange: data.domain() }),
  NAPTR: (data) => ({
    order: data.number(2),
    preference: data.number(2),
    flags: data.text(),
    service: data.text(),
    regexp: data.text(),
    replacement: data.domain()
  }),
  NS: (data) => ({ host: data.domain() }),
  PTR: (data) => ({ host: Name.toText(data.name()) }),
  SOA: (data) => ({
    primary: data.domain(),
    admin: Name.toText(data.name()),
    serial: data.number(4),
    refresh: data.seconds(),
    retry: data.seconds(),
    expire: data.seconds(),
    minimum: data.seconds()
  }),
  SRV: (data) => ({
    priority: data.number(2),
    weight: data.number(2),
    port: data.number(2),
    target: data.domain()
  }),
  TLSA: (data) => ({
    certUsage: data.number(1),
    selector: data.number(1),
    matchingType: data.number(1),
    data: data.rest()
  }),
  TXT: (data) => ({ chunks: strings(data) })
}

/** The record as one of `type`, which it must be. */
export const read = <T extends Dns.RecordType>(
  message: Message,
  resource: Resource,
  type: T
): Dns.RecordFor<T> | undefined => {
  const data = new Data(message, resource)
  const record = Result.try(() => Dns.makeRecordUnsafe(type, fields[type](data)))
  return data.complete && Result.isSuccess(record) ? record.success : undefined
}

/** The name that a CNAME record leads to. */
export const readTarget = (message: Message, resource: Resource): Name.Name | undefined => {
  const data = new Data(message, resource)
  const name = data.name()
  return data.complete ? name : undefined
}

/** RFC 2308 §5: how many seconds a negative answer holds, by the SOA record that comes with it. */
export const readNegativeTtl = (message: Message, resource: Resource): number | undefined => {
  const data = new Data(message, resource)
  data.name()
  data.name()
  data.take(16)
  const minimum = data.number(4)
  return data.complete ? Math.min(resource.ttl, minimum) : undefined
}
