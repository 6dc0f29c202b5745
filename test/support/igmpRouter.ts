/**
 * What a router that hears everything makes of reports of version 3 (RFC 9776 §6.4), without its timers: for each group the
 * sources that it forwards, or those that it does not.
 *
 * It serves one host. So a source that is blocked, and one that is no longer included, is gone at once, where a real router asks
 * first whether somebody else wants it.
 */
import type { GroupRecord, Message } from "@strata/core/igmp/Memberships"
import * as SourceFilter from "@strata/core/ip/SourceFilter"
import { IgmpRecordType } from "@strata/core/wire/IgmpHeader"

export class Router {
  readonly groups = new Map<number, SourceFilter.SourceFilter>()

  hear(messages: ReadonlyArray<Message>): void {
    for (const message of messages) {
      if (message._tag === "ReportV3") message.records.forEach((record) => this.learn(record))
    }
  }

  forwards(group: number): SourceFilter.SourceFilter {
    return this.groups.get(group) ?? SourceFilter.NOTHING
  }

  private learn({ group, sources, type }: GroupRecord): void {
    const after = this.after(this.forwards(group), type, new Set(sources))
    if (SourceFilter.isNothing(after)) this.groups.delete(group)
    else this.groups.set(group, after)
  }

  private after(before: SourceFilter.SourceFilter, type: number, sources: ReadonlySet<number>) {
    const without = SourceFilter.difference(before.sources, sources)
    const together = new Set([...before.sources, ...sources])
    const isInclude = before.mode === "include"
    switch (type) {
      case IgmpRecordType.toInclude:
        return SourceFilter.include(sources)
      case IgmpRecordType.isExclude:
      case IgmpRecordType.toExclude:
        return SourceFilter.exclude(sources)
      case IgmpRecordType.isInclude:
      case IgmpRecordType.allow:
        return { mode: before.mode, sources: isInclude ? together : without }
      default:
        return { mode: before.mode, sources: isInclude ? without : together }
    }
  }
}
