/**
 * Node's TLS over sockets that are not the kernel's. Node takes any stream for that; what its sockets then do not know, who is at
 * the other end and how it all began, is told here.
 */
import type * as Tls from "node:tls"
import type { NetSocket } from "../node/NetSocket.ts"

/** What `above` says about the connection is what `below` says. */
export const graft = <Above extends Tls.TLSSocket>(above: Above, below: NetSocket): Above => {
  for (const name of ADDRESSES) {
    Object.defineProperty(above, name, { get: () => below[name], configurable: true, enumerable: true })
  }
  const methods = {
    address: () => below.address(),
    setNoDelay: (noDelay?: boolean) => {
      below.setNoDelay(noDelay)
      return above
    },
    setKeepAlive: (enable?: boolean, delay?: number) => {
      below.setKeepAlive(enable, delay)
      return above
    },
    ref: () => {
      below.ref()
      return above
    },
    unref: () => {
      below.unref()
      return above
    }
  }
  return Object.assign(above, methods)
}

const ADDRESSES = [
  "remoteAddress",
  "remotePort",
  "remoteFamily",
  "localAddress",
  "localPort",
  "localFamily"
] as const

/**
 * A client's TLS over the connection that it has opened itself: the ends of the two, and their errors, are one.
 * `above` must have been made over `below` just now.
 */
export const joined = <Above extends Tls.TLSSocket>(above: Above, below: NetSocket): Above => {
  // Node would emit errors of the connection and then close without one.
  below.removeAllListeners("error").on("error", (error) => above.destroy(error))
  if (below.connecting) {
    const state: { connecting: boolean } = above
    state.connecting = true
    below.once("connect", () => {
      state.connecting = false
      above.emit("connect")
      above.emit("ready")
    })
  }
  return graft(above, below)
}
