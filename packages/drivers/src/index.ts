/**
 * The devices a stack can be attached to.
 *
 * @module @strata/drivers
 */
export { BusyPolling } from "./BusyPolling.ts"
export * as Capture from "./capture/Capture.ts"
export * as Pcapng from "./capture/Pcapng.ts"
export { DeviceError } from "./DeviceError.ts"
export * as DeviceOptions from "./DeviceOptions.ts"
export * as Impairment from "./Impairment.ts"
export * as Loopback from "./Loopback.ts"
export * as Native from "./Native.ts"
export * as Null from "./Null.ts"
export * as PacketSocket from "./PacketSocket.ts"
export type { Conditions } from "./path/Conditions.ts"
export * as Distribution from "./path/Distribution.ts"
export * as Faults from "./path/Faults.ts"
export * as Loss from "./path/Loss.ts"
export type { PathCounters } from "./path/Path.ts"
export { Pretenuring } from "./Pretenuring.ts"
export * as Switch from "./Switch.ts"
export * as Tap from "./Tap.ts"
export * as Wire from "./Wire.ts"
export { YoungGeneration } from "./YoungGeneration.ts"
