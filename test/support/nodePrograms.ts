/**
 * Small helpers of tests with the sockets and servers of Node.
 */
import { once } from "node:events"
import type { ClientRequest, IncomingMessage } from "node:http"
import type { AddressInfo, Server } from "node:net"
import type { Readable } from "node:stream"

/** Listens on a port that is free, and gives it. */
export const listening = async (server: Server, host: string): Promise<number> => {
  server.listen(0, host)
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

/** All that a stream gives, as text. */
export const textOf = async (stream: Readable): Promise<string> => (await octetsOf(stream)).toString()

export const octetsOf = async (stream: Readable): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The answer to a request, of which nothing has been read. */
export const answerTo = async (request: ClientRequest): Promise<IncomingMessage> => {
  const [answer] = await once(request, "response")
  return answer as IncomingMessage
}

export const closed = (server: Server): Promise<Error | undefined> =>
  new Promise((resolve) => void server.close((error) => resolve(error)))

/** What Node's errors tell. */
export interface Told {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  readonly syscall: string | undefined
  readonly errno: number | undefined
  readonly address: string | undefined
  readonly port: number | undefined
}

export const told = (error: unknown): Told => {
  const { address, code, errno, message, name, port, syscall } = error as Told
  return { name, message, code, syscall, errno, address, port }
}

/** The error that ends it. */
export const errorOf = async (emitter: NodeJS.EventEmitter | Promise<unknown>): Promise<Told & { cause?: unknown }> => {
  if (emitter instanceof Promise) {
    return emitter.then(
      (value) => Promise.reject(new Error(`there was no error but ${String(value)}`)),
      (error: Told) => error
    )
  }
  const [error] = await once(emitter, "error")
  return error as Told
}
