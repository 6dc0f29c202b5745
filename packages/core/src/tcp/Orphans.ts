/**
 * Connections that programs have let go of, and whose end is still to come. A peer that takes its time holds what
 * was written, so their number has a bound, and so have the octets that they hold.
 */
import { LinkedList } from "../LinkedList.ts"
import type { LiveConnection } from "./Connection.ts"

export class Orphans {
  private readonly most: number
  private readonly mostOctets: number
  /** In the order in which they were let go of. */
  private readonly all = new LinkedList<LiveConnection>()
  /** The sum of `orphanOctets` of all of them: what they held when they were last looked at, and never more since. */
  private octets = 0

  constructor(most: number, mostOctets: number) {
    this.most = most
    this.mostOctets = mostOctets
  }

  /** Takes one more, and tells which of them has to go for that, if one has. */
  add(connection: LiveConnection): LiveConnection | undefined {
    this.all.add(connection)
    this.note(connection)
    if (this.octets > this.mostOctets) { for (const held of this.all) this.note(held) }
    return this.excess()
  }

  /** The one that was let go of first, while there are too many. */
  excess(): LiveConnection | undefined {
    return this.all.size > this.most || this.octets > this.mostOctets ? this.all.first : undefined
  }

  delete(connection: LiveConnection): void {
    if (!this.all.delete(connection)) return
    this.octets -= connection.orphanOctets
    connection.orphanOctets = 0
  }

  private note(connection: LiveConnection): void {
    const { queued } = connection.sending
    this.octets += queued - connection.orphanOctets
    connection.orphanOctets = queued
  }
}
