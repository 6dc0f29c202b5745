/**
 * The protocols of strata: every layer of the network as an Effect Layer.
 *
 * What is here is what programs need; every module is also there by itself, as
 * in `@strata/core/tcp/Segment`.
 *
 * @module @strata/core
 */

// The stack, and what it tells about itself.
export * as Log from "./log/Log.ts"
export * as Metrics from "./Metrics.ts"
export * as NetworkStack from "./NetworkStack.ts"
export { type Counter, Statistics } from "./Statistics.ts"
export { type Interest, makeDrop, type PacketLayer, Trace, type TraceDetail, type TraceEvent } from "./Trace.ts"

// Time and chance.
export { Entropy } from "./Entropy.ts"
export { type Timer, Timers } from "./time/Timers.ts"
export { Turn } from "./time/Turn.ts"

// Devices and packets.
export { type Device, type DeviceFlags, type Framing, NO_OFFLOAD, type Offload } from "./device/Device.ts"
export { type AttachedDevice, type Attachment, type DeviceChange, Devices, DevicesError } from "./device/Devices.ts"
export * as Middleware from "./device/Middleware.ts"
export * as Packet from "./device/Packet.ts"
export * as WireFormat from "./WireFormat.ts"

// Link.
export { ArpCache, ArpError, type Neighbour, NeighbourSettings } from "./link/ArpCache.ts"
export { Ethernet } from "./link/Ethernet.ts"

// Internet.
export { AnswerBroadcastEcho, type EchoReply, Icmp, PingError, type PingOptions } from "./ip/Icmp.ts"
export { type DeliveryError, Ipv4, type OutputResult } from "./ip/Ipv4.ts"
export { type Member, Multicast, type MulticastChange } from "./ip/Multicast.ts"
export { type Destination, type Interface, type Route, type RouteInfo, Routing, RoutingError } from "./ip/Routing.ts"
export * as SourceFilter from "./ip/SourceFilter.ts"

// Groups.
export { Igmp, type Membership } from "./igmp/Igmp.ts"

// Transport.
export * as Algorithms from "./tcp/Algorithms.ts"
export { type CongestionAlgorithm, CongestionControl } from "./tcp/Congestion.ts"
export type { State as TcpState } from "./tcp/ControlBlock.ts"
export { format as formatTcpInfo } from "./tcp/FormatTcpInfo.ts"
export * as Netstat from "./tcp/Netstat.ts"
export {
  type Connection,
  type ConnectionOptions,
  type ConnectionStatus,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type OpenOptions,
  Tcp
} from "./tcp/Tcp.ts"
export { type TcpDefaultOptions, TcpDefaults } from "./tcp/TcpDefaults.ts"
export { TcpError } from "./tcp/TcpError.ts"
export type { TcpInfo } from "./tcp/TcpInfo.ts"
export { TcpMachine } from "./tcp/TcpMachine.ts"
export * as TcpMetrics from "./tcp/TcpMetrics.ts"
export type { TcpSettings } from "./tcp/TcpSettings.ts"
export {
  type BindOptions,
  type Datagram,
  type GroupOptions,
  type JoinOptions,
  type MulticastOptions,
  Udp,
  UdpError,
  type UdpPort
} from "./udp/Udp.ts"
