/**
 * An end made of the kernel's sockets, in whichever network namespace the process is.
 */
import { NodeDatagramSocket, NodeSocket, NodeSocketServer } from "@effect/platform-node"
import type { Side } from "./Ends.ts"

export const side = (host: string): Side => ({
  host,
  socket: NodeSocket.makeNet,
  server: ({ host: bound = host, ...options }) => NodeSocketServer.make({ host: bound, ...options }),
  datagrams: NodeDatagramSocket.make
})
