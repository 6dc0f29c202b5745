/**
 * Connections that programs have let go of, and whose end is still to come. A peer that takes its time holds what
 * was written, so their number has a bound, and so have the octets that they hold.
 */
import type { LiveConnection } from "./Connection.ts"

export class Orphans {
  private readonly most: number
  private readonly mostOctets: number
  /** In the order in which they were let go of, with the octets they held when they were last looked at: never more since. */
  private readonly all = new Map<LiveConnection, number>()
  private octets = 0

  constructor(most: number, mostOctets: number) {
    this.most = most
    this.mostOctets = mostOctets
  }

  /** Takes one more, and tells which of them has to go for that, if one has. */
  add(connection: LiveConnection): LiveConnection | undefined {
    this.note(connection)
    if (this.octets > this.mostOctets) { for (const held of this.all.keys()) this.note(held) }
    return this.excess()
  }

  /** The one that was let go of first, while there are too many. */
  excess(): LiveConnection | undefined {
    const [oldest] = this.all.keys()
    return this.all.size > this.most || this.octets > this.mostOctets ? oldest : undefined
  }

  delete(connection: LiveConnection): void {
    this.octets -= this.all.get(connection) ?? 0
    this.all.delete(connection)
  }

  private note(connection: LiveConnection): void {
    const { queued } = connection.sending
    this.octets += queued - (this.all.get(connection) ?? 0)
    this.all.set(connection, queued)
  }
}
