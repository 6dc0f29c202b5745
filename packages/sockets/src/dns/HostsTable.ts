/**
 * Names that the user gives to addresses, as a hosts file does.
 */
import * as Equal from "effect/Equal"
import * as Host from "effect/net/Host"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** By name, as in `{ "db.internal": ["10.0.0.5"] }`, or what `Host.parseHostsFile` makes of a file. */
export type HostsInput = Host.HostsTable | { readonly [name: string]: ReadonlyArray<NetAddress.IpAddressInput> }

export interface HostsTable {
  /** The addresses of a name of the table. */
  readonly addressesOf: (name: Host.DomainName) => ReadonlyArray<NetAddress.IpAddress> | undefined
  readonly namesOf: (address: NetAddress.IpAddress) => ReadonlyArray<Host.DomainName>
}

export const make = (input: HostsInput): Result.Result<HostsTable, NetAddress.NetAddressError> =>
  Result.gen(function*() {
    const table = new Map<Host.DomainName, ReadonlyArray<NetAddress.IpAddress>>()
    for (const [name, addresses] of input instanceof Map ? input : Object.entries(input)) {
      const key = Host.toRelative(yield* Host.domainNameFromString(name))
      const parsed: Array<NetAddress.IpAddress> = []
      for (const address of addresses) parsed.push(yield* NetAddress.ipFromInput(address))
      table.set(key, parsed)
    }
    return {
      addressesOf: (name) => table.get(Host.toRelative(name)),
      namesOf: (address) =>
        [...table].flatMap(([name, addresses]) =>
          addresses.some((one) => Equal.equals(one, address)) ? [Host.toFullyQualified(name)] : []
        )
    }
  })
