/**
 * Sockets for programs, over the protocols of `@strata/core`.
 *
 * @module @strata/sockets
 */
export * as SimpleServices from "./SimpleServices.ts"
export * as StrataAddressResolver from "./StrataAddressResolver.ts"
export * as StrataClusterSocket from "./StrataClusterSocket.ts"
export * as StrataDatagramSocket from "./StrataDatagramSocket.ts"
export * as StrataDns from "./StrataDns.ts"
export * as StrataSocket from "./StrataSocket.ts"
export * as StrataSocketServer from "./StrataSocketServer.ts"
export * as TcpServer from "./TcpServer.ts"
export * as TcpSocket from "./TcpSocket.ts"
export * as UdpSocket from "./UdpSocket.ts"
