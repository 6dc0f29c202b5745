/**
 * Datagram sockets of Node on strata, over a TAP, and those of Node itself on the kernel.
 */
import { expect, layer } from "@effect/vitest"
import { makeDgram } from "@strata/sockets/node/Dgram"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { describeOffloads, hostWith, KERNEL, Kernel, STACK } from "../support/linux.ts"

/** Answers each datagram with its text and who has sent it. */
const ECHO = `
const socket = require("node:dgram").createSocket("udp4", (text, from) => {
  socket.send(text + " from " + from.address, from.port, from.address)
})
socket.bind(7000, () => console.log("bound"))
`

describeOffloads("Linux, datagram sockets of Node", [], (offload) => {
  layer(hostWith(offload), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("talk to Node on the kernel, one by one and many at once, and hear that nobody listens", () =>
      Effect.gen(function*() {
        const kernel = yield* Kernel
        const peer = yield* kernel.spawn(process.execPath, "-e", ECHO)
        yield* peer.prints(/bound/)
        const { createSocket } = yield* makeDgram

        const socket = createSocket("udp4")
        const answers: Array<string> = []
        const large = "x".repeat(20_000)
        for (const text of ["hello", large]) {
          const answered = once(socket, "message") as Promise<[Buffer]>
          socket.send(text, 7000, KERNEL)
          const [answer] = yield* Effect.promise(() => answered)
          answers.push(String(answer))
        }
        expect(answers).toEqual([`hello from ${STACK}`, `${large} from ${STACK}`])

        const texts = Array.from({ length: 100 }, (_, index) => `${index}`.repeat(1 + index % 40))
        const heard: Array<string> = []
        const allAreHeard = new Promise<void>((resolve) =>
          socket.on("message", (text) => {
            if (heard.push(String(text)) === texts.length) resolve()
          })
        )
        for (const text of texts) socket.send(text, 7000, KERNEL)
        yield* Effect.promise(() => allAreHeard)
        expect(heard).toEqual(texts.map((text) => `${text} from ${STACK}`))

        const connected = createSocket("udp4")
        connected.connectSync(7001, KERNEL)
        expect(connected.address().address).toBe(STACK)
        const refused = new Promise((resolve) => connected.once("error", resolve))
        connected.send("anybody?")
        expect(yield* Effect.promise(() => refused)).toMatchObject({ code: "ECONNREFUSED", syscall: "recvmsg" })
      }))
  })
})
