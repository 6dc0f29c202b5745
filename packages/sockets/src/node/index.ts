/**
 * Sockets in the shape of Node's, on a stack. This entry needs Node.
 *
 * @module @strata/sockets/node
 */
export { makeDgram, type StrataDgram } from "./Dgram.ts"
export { DgramSocket } from "./DgramSocket.ts"
export { makeHttp, type StrataHttp } from "./Http.ts"
export { makeHttps, type StrataHttps } from "./Https.ts"
export { type Connect, makeNet, type StrataNet } from "./Net.ts"
export { type NetListenOptions, NetServer, type NetServerEvents, type NetServerOptions } from "./NetServer.ts"
export { NetSocket } from "./NetSocket.ts"
export type {
  Listen,
  NetConnectOptions,
  NetDialOptions,
  NetSocketEvents,
  NetSocketOptions
} from "./NetSocketOptions.ts"
export * as NodeErrors from "./NodeErrors.ts"
export * as StrataNode from "./StrataNode.ts"
export { makeTls, type StrataTls } from "./Tls.ts"
export { type Connector, type ConnectorOptions, makeUndici, type StrataUndici } from "./Undici.ts"
