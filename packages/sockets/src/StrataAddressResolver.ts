/**
 * Effect's `AddressResolver`, in the place of `NodeAddressResolver` of `@effect/platform-node`.
 *
 * Addresses are taken as they are, and names are looked up with `Dns`. strata has no interfaces that speak IPv6, so that
 * addresses with the name of one (`fe80::1%eth0`) fail; those with its number are passed on.
 */
import type * as Layer from "effect/Layer"
import * as AddressResolver from "effect/net/AddressResolver"
import type { Dns } from "effect/net/Dns"

/** Effect's resolver of hosts, by whatever `Dns` there is. */
export const layer: Layer.Layer<AddressResolver.AddressResolver, never, Dns> = AddressResolver.layer()
