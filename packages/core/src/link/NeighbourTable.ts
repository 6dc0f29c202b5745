/**
 * What is known about the neighbours on one link, and how it changes: the
 * states of RFC 4861 §7.3.2, for ARP.
 *
 * A `Neighbour` is an immutable value; `transition` says what an event makes of
 * it and what is to be done. Time is an argument.
 *
 *     state       event                      next        action
 *     (unknown)   a packet wants to go       incomplete  ask everybody
 *     incomplete  answered | heard           reachable | stale, send what waited
 *     incomplete  retransmit time is over    incomplete  ask everybody again
 *     incomplete  ... for the last time      failed      give up
 *     reachable   reachable time is over     stale
 *     stale       used                       stale, probing is due after a delay
 *     stale       the delay is over          probing     ask it alone
 *     probing     answered                   reachable
 *     probing     retransmit time is over    probing     ask it alone again
 *     probing     ... for the last time      incomplete  ask everybody
 *     failed      hold time is over          (unknown)
 *     any         heard with a new address   stale
 *     static      any                        static
 *
 * The delay state of RFC 4861 is `stale` with a deadline. A probe that stays
 * unanswered leads to a question to everybody, so that a neighbour that
 * changed its hardware address in silence is found again.
 *
 * The table is a bounded map from address to entry. When it is full, the entry
 * that was put the longest ago leaves; static entries neither count nor leave.
 */

export type NeighbourState = "incomplete" | "reachable" | "stale" | "probing" | "failed" | "static"

export interface Neighbour {
  /** Unsigned 32-bit integer. */
  readonly address: number
  readonly state: NeighbourState
  /** Unsigned 48-bit integer; 0 while it is not known. */
  readonly hardware: number
  /** Requests sent in this state. */
  readonly requests: number
  /** When the hardware address was last confirmed or changed, in milliseconds. */
  readonly updated: number
  /** When an `Elapsed` event is due, in milliseconds; `Infinity` for never. */
  readonly deadline: number
}

/** Times are in milliseconds. */
export interface NeighbourSettings {
  /** For how long an answer is believed (RFC 4861 REACHABLE_TIME). */
  readonly reachableTime: number
  /** Between one request and the next; also the time to wait for the last answer (RFC 1122 §2.3.2.1: one second). */
  readonly retransmitTime: number
  /** Requests to everybody before giving up, and requests to the neighbour alone before asking everybody. */
  readonly maximumRequests: number
  /** From the first use of a stale entry to its first probe (RFC 4861 DELAY_FIRST_PROBE_TIME). */
  readonly delayBeforeProbe: number
  /** For how long a neighbour that did not answer is not asked again. */
  readonly failedTime: number
  /** For how long a hardware address just learned is not replaced by another one. */
  readonly lockTime: number
  /** Neighbours per device, static ones not counted. */
  readonly maximumNeighbours: number
  /** Packets that wait for one neighbour; the largest datagram over Ethernet makes 45 of them. */
  readonly maximumWaiting: number
  /** Packets that wait for all neighbours of all devices together. */
  readonly maximumWaitingInAll: number
}

export const defaults: NeighbourSettings = {
  reachableTime: 30_000,
  retransmitTime: 1_000,
  maximumRequests: 3,
  delayBeforeProbe: 5_000,
  failedTime: 3_000,
  lockTime: 1_000,
  maximumNeighbours: 1_024,
  maximumWaiting: 64,
  maximumWaitingInAll: 1_024
}

export type NeighbourEvent =
  /** A packet was sent to it. */
  | { readonly _tag: "Used" }
  /** Its deadline has come. */
  | { readonly _tag: "Elapsed" }
  /** It answered our question. */
  | { readonly _tag: "Answered"; readonly hardware: number }
  /** It said its address without being asked. */
  | { readonly _tag: "Heard"; readonly hardware: number }

/** What is to be done after a transition. */
export type NeighbourAction = "nothing" | "askEverybody" | "askIt" | "sendWaiting" | "giveUp" | "forget"

export interface Step {
  readonly neighbour: Neighbour
  readonly action: NeighbourAction
}

/** A neighbour a packet wants to go to; the first request to everybody is to be sent. */
export const wanted = (address: number, now: number, settings: NeighbourSettings): Neighbour => ({
  address,
  state: "incomplete",
  hardware: 0,
  requests: 1,
  updated: now,
  deadline: now + settings.retransmitTime
})

/** A neighbour that made itself known by asking us. */
export const met = (address: number, hardware: number, now: number): Neighbour => ({
  address,
  state: "stale",
  hardware,
  requests: 0,
  updated: now,
  deadline: Infinity
})

/** A neighbour a person has written down. */
export const written = (address: number, hardware: number, now: number): Neighbour => ({
  address,
  state: "static",
  hardware,
  requests: 0,
  updated: now,
  deadline: Infinity
})

export const transition = (
  neighbour: Neighbour,
  event: NeighbourEvent,
  now: number,
  settings: NeighbourSettings
): Step => {
  if (neighbour.state === "static") return stay(neighbour)
  switch (event._tag) {
    case "Used":
      return used(neighbour, now, settings)
    case "Elapsed":
      return now < neighbour.deadline ? stay(neighbour) : elapsed(neighbour, now, settings)
    case "Answered":
      return locked(neighbour, event.hardware, now, settings)
        ? stay(neighbour)
        : confirmed(neighbour, event.hardware, now, settings)
    case "Heard":
      return neighbour.hardware === event.hardware || locked(neighbour, event.hardware, now, settings)
        ? stay(neighbour)
        : { neighbour: met(neighbour.address, event.hardware, now), action: "sendWaiting" }
  }
}

/** Whether a packet to it goes at once and changes nothing: `Used` would leave it as it is. */
export const isUndisturbed = ({ deadline, state }: Neighbour): boolean => {
  switch (state) {
    case "reachable":
    case "static":
    case "probing":
      return true
    case "stale":
      return deadline !== Infinity
    default:
      return false
  }
}

const stay = (neighbour: Neighbour): Step => ({ neighbour, action: "nothing" })

/** Of two that claim the same address at the same time, the first one is believed. */
const locked = (neighbour: Neighbour, hardware: number, now: number, settings: NeighbourSettings): boolean =>
  neighbour.hardware !== 0 && neighbour.hardware !== hardware && now - neighbour.updated < settings.lockTime

const used = (neighbour: Neighbour, now: number, settings: NeighbourSettings): Step =>
  neighbour.state === "stale" && neighbour.deadline === Infinity
    ? stay({ ...neighbour, deadline: now + settings.delayBeforeProbe })
    : stay(neighbour)

const confirmed = (neighbour: Neighbour, hardware: number, now: number, settings: NeighbourSettings): Step => ({
  neighbour: {
    address: neighbour.address,
    state: "reachable",
    hardware,
    requests: 0,
    updated: now,
    deadline: now + settings.reachableTime
  },
  action: "sendWaiting"
})

const elapsed = (neighbour: Neighbour, now: number, settings: NeighbourSettings): Step => {
  const requests = neighbour.requests + 1
  const deadline = now + settings.retransmitTime
  const exhausted = neighbour.requests >= settings.maximumRequests
  switch (neighbour.state) {
    case "incomplete":
      return exhausted
        ? { neighbour: { ...neighbour, state: "failed", deadline: now + settings.failedTime }, action: "giveUp" }
        : { neighbour: { ...neighbour, requests, deadline }, action: "askEverybody" }
    case "reachable":
      return stay({ ...neighbour, state: "stale", deadline: Infinity })
    case "stale":
      return { neighbour: { ...neighbour, state: "probing", requests: 1, deadline }, action: "askIt" }
    case "probing":
      return exhausted
        ? { neighbour: wanted(neighbour.address, now, settings), action: "askEverybody" }
        : { neighbour: { ...neighbour, requests, deadline }, action: "askIt" }
    case "failed":
      return { neighbour, action: "forget" }
    case "static":
      return stay(neighbour)
  }
}

/** What a table holds: a neighbour, and whatever its owner keeps beside it. */
export interface Entry {
  neighbour: Neighbour
}

export interface NeighbourTable<E extends Entry> {
  readonly limit: number
  // Keys are signed: V8 keeps those out of the heap, and finds them about three times as fast.
  readonly entries: Map<number, E>
  /** Those that may have to leave, the one that was put the longest ago first. */
  readonly evictable: Map<number, E>
  /** The one found last: most packets go where the one before went. */
  last: E | undefined
}

export const make = <E extends Entry>(limit: number): NeighbourTable<E> => ({
  limit,
  entries: new Map(),
  evictable: new Map(),
  last: undefined
})

export const get = <E extends Entry>(table: NeighbourTable<E>, address: number): E | undefined => {
  const last = table.last
  if (last !== undefined && last.neighbour.address === address) return last
  const found = table.entries.get(address | 0)
  if (found !== undefined) table.last = found
  return found
}

/** Adds an entry, or makes it the youngest; returns the one that had to leave for it. */
export const put = <E extends Entry>(table: NeighbourTable<E>, entry: E): E | undefined => {
  const key = entry.neighbour.address | 0
  remove(table, entry.neighbour.address)
  table.entries.set(key, entry)
  if (entry.neighbour.state === "static") return undefined
  table.evictable.set(key, entry)
  if (table.evictable.size <= table.limit) return undefined
  const [oldest] = table.evictable.values()
  return remove(table, oldest!.neighbour.address)
}

export const remove = <E extends Entry>(table: NeighbourTable<E>, address: number): E | undefined => {
  const key = address | 0
  const entry = table.entries.get(key)
  if (entry === undefined) return undefined
  table.entries.delete(key)
  table.evictable.delete(key)
  if (table.last === entry) table.last = undefined
  return entry
}
