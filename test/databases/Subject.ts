/**
 * What a case has to do with: the same servers, once through the kernel's sockets and once through strata's.
 */
import type { Socket } from "node:net"

/** As much of `node:net` as clients of databases use. */
export interface Net {
  readonly Socket: new() => Socket
  readonly createConnection: (options: { readonly host: string; readonly port: number }) => Socket
}

/** One way to the servers. */
export interface Side {
  readonly name: "kernel" | "strata"
  readonly net: Net
  /** The servers' address as this side sees it. */
  readonly host: string
}

export interface Subject extends Side {
  /** Answers what clients write to this port of the servers with a reset, until `heal`; acknowledgements alone pass. */
  readonly reset: (port: number) => Promise<void>
  readonly heal: () => Promise<void>
  /** Starts a Redis of its own; `stop` kills it as a crash would. */
  readonly startRedis: () => Promise<{ readonly stop: () => Promise<void> }>
}

export const Port = {
  postgres: 5432,
  redis: 6379,
  /** Of the Redis that is started by `startRedis`. */
  ownRedis: 6380,
  /** Nobody listens here. */
  closed: 9,
  /** Whatever is sent here is lost. */
  dark: 10
} as const

/** Runs on one side; what it returns must be the same on the other. Asserts what it must be by itself. */
export interface Case {
  readonly name: string
  readonly run: (subject: Subject) => Promise<unknown>
}

/** What users see of an error, without what differs from run to run. */
export const told = (error: unknown, { host }: Subject): Readonly<Record<string, unknown>> => {
  const shown: Record<string, unknown> = { name: (error as Error).name, message: (error as Error).message }
  for (const key of ["code", "errno", "syscall", "address", "port", "severity", "routine"]) {
    const value = (error as Record<string, unknown>)[key]
    if (value !== undefined) shown[key] = value
  }
  return JSON.parse(JSON.stringify(shown).replaceAll(host, "the server"))
}

/** The error that something ends with. */
export const errorOf = async (promise: Promise<unknown>): Promise<unknown> => {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error
  }
  throw new Error(`it should have failed, but came to ${JSON.stringify(value)}`)
}

/** Resolves when something happens. Unlike `once` of `node:events`, errors before are nothing to it. */
export const happening = (
  emitter: { readonly once: (event: string, listener: () => void) => unknown },
  event: string
): Promise<void> => new Promise((resolve) => void emitter.once(event, resolve))
