/**
 * The devices a stack can be attached to.
 */
export { DeviceError } from "./DeviceError.ts"
export * as DeviceOptions from "./DeviceOptions.ts"
export * as Loopback from "./Loopback.ts"
export * as Native from "./Native.ts"
export * as Null from "./Null.ts"
export * as PacketSocket from "./PacketSocket.ts"
export * as Tap from "./Tap.ts"
export * as Wire from "./Wire.ts"
