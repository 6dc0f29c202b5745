/**
 * How a socket of Node's kind comes to its connection: the name's addresses, and one attempt after the other.
 */
import type { Connection, ConnectionOptions } from "@strata/core/tcp/Tcp"
import type { TcpError } from "@strata/core/tcp/TcpError"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { ADDRCONFIG, type LookupAddress, type LookupOptions } from "node:dns"
import { type BlockList, isIP } from "node:net"
import * as Errors from "../node/NodeErrors.ts"
import type { Target } from "./NodeArguments.ts"
import { type NodeHost, outward } from "./NodeHost.ts"

/** Who is told. */
export interface Listener {
  readonly event: (name: string, ...values: ReadonlyArray<unknown>) => void
  /** An endpoint that is tried, where there are several. */
  readonly tried: (endpoint: string) => void
  readonly connected: (connection: Connection) => void
  readonly failed: (error: Error) => void
}

/** Where to, and whom to avoid. */
export interface DialTarget extends Target {
  readonly blockList?: BlockList | undefined
}

interface Candidate {
  readonly address: string
  readonly family: number
}

const FAMILY = 4
const ANY = "0.0.0.0"
const LOOPBACK = "127.0.0.1"

/** Under way from `start` on, until one of `connected` and `failed` was called. */
export class Dial {
  private readonly host: NodeHost
  private readonly target: DialTarget
  private readonly options: ConnectionOptions
  private readonly listener: Listener
  private readonly failures: Array<Error> = []
  private connection: Connection | undefined
  private timer: NodeJS.Timeout | undefined
  private isOver = false

  constructor(host: NodeHost, target: DialTarget, options: ConnectionOptions, listener: Listener) {
    this.host = host
    this.target = target
    this.options = options
    this.listener = listener
  }

  start(): void {
    const { host, lookup } = this.target
    if (isIP(host) !== 0) process.nextTick(() => this.attempt([{ address: host, family: isIP(host) }], 0))
    else if (lookup) this.ask(lookup)
    else if (host.toLowerCase() === "localhost") {
      process.nextTick(() => this.found([{ address: LOOPBACK, family: FAMILY }]))
    } else {
      this.host.resolve(host, (outcome) =>
        process.nextTick(() => {
          if (Result.isFailure(outcome)) this.lost(Errors.notFound(host, outcome.failure))
          else this.found(outcome.success.map((address) => ({ address, family: FAMILY })))
        }))
    }
  }

  /** Nobody is told anything any more, and nothing of it stays. */
  giveUp(): void {
    this.isOver = true
    clearTimeout(this.timer)
    this.connection?.plain.abort()
  }

  /** The program's own way to look up names. */
  private ask(lookup: NonNullable<Target["lookup"]>): void {
    const { autoSelectFamily = this.host.defaults.autoSelectFamily, family, hints, host } = this.target
    const asked: LookupOptions = {
      hints: hints ?? ADDRCONFIG,
      ...(family === undefined ? {} : { family: family as NonNullable<LookupOptions["family"]> }),
      ...(autoSelectFamily ? { all: true } : {})
    }
    lookup(host, asked, (error, found, version) => {
      if (error) return this.lost(error)
      this.found(typeof found === "string" ? [{ address: found, family: version ?? isIP(found) }] : found)
    })
  }

  private lost(error: Error): void {
    if (this.isOver) return
    this.listener.event("lookup", error, undefined, undefined, this.target.host)
    this.failLater(error)
  }

  private found(addresses: ReadonlyArray<LookupAddress>): void {
    if (this.isOver) return
    for (const { address, family } of addresses) this.listener.event("lookup", null, address, family, this.target.host)
    const usable = addresses.filter(({ family }) => family === FAMILY)
    const candidates = usable.length > 0 ? usable : addresses
    const error = this.complaint(candidates[0])
    if (error !== undefined) return this.failLater(error)
    const { autoSelectFamily = this.host.defaults.autoSelectFamily } = this.target
    this.attempt(autoSelectFamily ? candidates : candidates.slice(0, 1), 0)
  }

  /** What is wrong with an answer to a lookup. */
  private complaint(found: LookupAddress | undefined): Error | undefined {
    const { host, port } = this.target
    if (found === undefined) return Errors.notFound(host)
    if (isIP(found.address) === 0) return Errors.invalidAddress(found.address)
    if (found.family === 4 || found.family === 6) return undefined
    const error = Errors.coded(
      "ERR_INVALID_ADDRESS_FAMILY",
      `Invalid address family: ${found.family} ${host}:${port}`,
      RangeError
    )
    return Object.assign(error, { host, port })
  }

  private attempt(candidates: ReadonlyArray<Candidate>, index: number): void {
    if (this.isOver) return
    const { address, family } = candidates[index]!
    const { port } = this.target
    const isLast = index === candidates.length - 1
    if (candidates.length > 1) this.listener.tried(`${address}:${port}`)
    const next = (error: Error) => {
      this.failures.push(error)
      if (isLast) this.fail(this.failure())
      else this.attempt(candidates, index + 1)
    }
    const opened = this.blocks(candidates[index]!)
      ? Result.fail(Errors.blocked(address))
      : this.open(address)
    this.connection = Result.getOrUndefined(opened)
    // Without an address of one's own there is not even an attempt.
    if (Result.isSuccess(opened) || opened.failure.syscall !== "bind") {
      this.listener.event("connectionAttempt", address, port, family)
      if (this.isOver) return
    }
    if (Result.isFailure(opened)) return next(opened.failure)
    const connection = opened.success
    const { plain } = connection
    if (!isLast) {
      this.timer = setTimeout(() => {
        if (this.connection !== connection) return
        this.connection = undefined
        plain.abort()
        this.listener.event("connectionAttemptTimeout", address, port, family)
        next(Errors.endpointError("connect", "ETIMEDOUT", address, port))
      }, this.target.autoSelectFamilyAttemptTimeout ?? this.host.defaults.attemptTimeout)
    }
    plain.whenOpened(() =>
      outward(() => {
        if (this.isOver || this.connection !== connection) return
        this.connection = undefined
        clearTimeout(this.timer)
        if (plain.unwritable() === undefined) {
          this.isOver = true
          return this.listener.connected(connection)
        }
        const error = Errors.endpointError(
          "connect",
          Errors.codeOf(plain.failure()),
          address,
          port,
          this.bound(connection)
        )
        this.listener.event("connectionAttemptFailed", address, port, family, error)
        if (!this.isOver) next(error)
      })
    )
  }

  private blocks({ address, family }: Candidate): boolean {
    return this.target.blockList?.check(address, family === FAMILY ? "ipv4" : "ipv6") ?? false
  }

  /** A connection in SYN-SENT, or why there cannot be one. */
  private open(address: string): Result.Result<Connection, NodeJS.ErrnoException> {
    const { localAddress, localPort, port } = this.target
    const unreachable = (code: string) =>
      Result.fail(Errors.endpointError("connect", code, address, port, { address: ANY, port: 0 }))
    const remote = Result.getOrUndefined(NetAddress.ipFromString(address))
    const local = localAddress === undefined ? undefined : Result.getOrUndefined(NetAddress.ipFromString(localAddress))
    if (remote === undefined || !NetAddress.isIpv4Address(remote)) return unreachable("EAFNOSUPPORT")
    if (local !== undefined && !NetAddress.isIpv4Address(local)) {
      return Result.fail(Errors.endpointError("bind", "EINVAL", localAddress!, localPort))
    }
    // As elsewhere, who connects to no address in particular means this host.
    const reached = address === ANY ? NetAddress.ipv4Loopback : remote
    return this.host.connect({
      ...this.options,
      remote: NetAddress.inetAddressUnsafe(reached, port) as NetAddress.InetAddressV4,
      localAddress: local,
      localPort
    }).pipe(Result.mapError((error) => this.refusal(error, address)))
  }

  /** Why there was not even an attempt. */
  private refusal(error: TcpError, address: string): NodeJS.ErrnoException {
    const { localAddress = ANY, localPort, port } = this.target
    const code = Errors.codeOf(error)
    if (code === "EADDRINUSE") return Errors.endpointError("bind", code, localAddress, localPort)
    if (error.reason._tag === "AddressNotAvailable") return Errors.endpointError("bind", code, localAddress, localPort)
    const local = { address: ANY, port: 0 }
    return Errors.endpointError("connect", code === "EHOSTUNREACH" ? "ENETUNREACH" : code, address, port, local)
  }

  private bound({ local }: Connection): { readonly address: string; readonly port: number } | undefined {
    const { localAddress, localPort } = this.target
    return localAddress && localPort ? { address: NetAddress.formatIp(local.address), port: local.port } : undefined
  }

  /** One error, or all of them where several addresses failed. */
  private failure(): Error {
    const [first, ...others] = this.failures
    if (others.length === 0) return first!
    return Object.assign(new AggregateError(this.failures), { code: (first as NodeJS.ErrnoException).code })
  }

  /** A lookup may answer at once, before anybody listens. */
  private failLater(error: Error): void {
    process.nextTick(() => this.fail(error))
  }

  private fail(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    this.listener.failed(error)
  }
}
