/**
 * The passive OPEN of RFC 9293 §3.9.1.1: a connection in LISTEN that becomes
 * the one with the first peer whose SYN it takes, and listens again when that
 * peer resets before it is established (§3.10.7.4).
 */
import type { Acceptor, Refusal } from "./Acceptors.ts"
import type { LiveConnection } from "./Connection.ts"
import type { Endpoints } from "./ControlBlock.ts"
import type { Host } from "./Host.ts"
import type { ConnectionOptions } from "./Tcp.ts"

export class PassiveOpen implements Acceptor {
  readonly address: number
  readonly port: number
  readonly foreignAddress: number
  readonly foreignPort: number
  readonly connection: LiveConnection
  private readonly host: Host
  readonly options: ConnectionOptions
  private readonly listening: Endpoints

  constructor(host: Host, endpoints: Endpoints, options: ConnectionOptions) {
    this.host = host
    this.options = options
    this.listening = endpoints
    this.address = endpoints.localAddress
    this.port = endpoints.localPort
    this.foreignAddress = endpoints.remoteAddress
    this.foreignPort = endpoints.remotePort
    this.connection = host.listen(endpoints, 0, options)
    this.connection.observer = this.observe
  }

  admit(endpoints: Endpoints, iss: number): LiveConnection | Refusal {
    if (this.connection.state !== "LISTEN") return "synQueueFull"
    this.connection.restart(this.host.machine.listen(this.host.parameters(endpoints, iss, this.options)))
    return this.connection
  }

  /** It gives out no cookies. */
  resume(): undefined {}

  close(): void {
    this.connection.close()
  }

  private readonly observe = (connection: LiveConnection): void => {
    switch (connection.state) {
      case "SYN-RECEIVED":
        return
      case "LISTEN":
        this.host.discard(connection)
        connection.restart(this.host.machine.listen(this.host.parameters(this.listening, 0, this.options)))
        return
      default:
        this.host.unbind(this)
        connection.observer = undefined
    }
  }
}
