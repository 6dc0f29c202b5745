/**
 * Sockets in the shape of Node's, on a stack. This entry needs Node.
 */
export { makeDgram, type StrataDgram } from "./Dgram.ts"
export { DgramSocket } from "./DgramSocket.ts"
export { type Connect, makeNet, type StrataNet } from "./Net.ts"
export { type NetListenOptions, NetServer, type NetServerOptions } from "./NetServer.ts"
export { type NetConnectOptions, type NetDialOptions, NetSocket, type NetSocketOptions } from "./NetSocket.ts"
export * as NodeErrors from "./NodeErrors.ts"
export * as StrataNode from "./StrataNode.ts"
