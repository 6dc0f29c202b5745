/**
 * Sockets for programs, over the protocols of `@strata/core`.
 */
export * as UdpSocket from "./UdpSocket.ts"
