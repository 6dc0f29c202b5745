/**
 * A server that says everything louder. It was written for `NodeSocketServer`, and knows of no network.
 */
import { Effect } from "effect"
import { Socket, SocketServer } from "effect/socket"

const shout = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const pull = yield* Socket.readerString(socket)
  const { write } = yield* socket.writer
  yield* Effect.forever(Effect.flatMap(pull, (texts) => write(texts.join("").toUpperCase()))).pipe(
    Effect.catchReason("SocketError", "SocketCloseError", () => Effect.void)
  )
}, Effect.scoped)

export const server = Effect.flatMap(SocketServer.SocketServer, ({ run }) => run(shout))
