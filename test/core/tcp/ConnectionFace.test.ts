/**
 * Fibers that read the same connection, whatever a scheduler does between what they find and what they are given.
 */
import { expect, it } from "@effect/vitest"
import { makeFace } from "@strata/core/tcp/ConnectionFace"
import { Waiters } from "@strata/core/tcp/Waiters"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { MaxOpsBeforeYield } from "effect/References"

const nothing = (): void => {}

/** A connection of which there is only what is read. */
const makeConnection = () => {
  let arrived: Array<number> = []
  const readers = new Waiters()
  const connection = {
    readers,
    finished: false,
    ended: false,
    receiving: {
      get readable() {
        return arrived.length
      }
    },
    take: () => {
      const taken = Uint8Array.from(arrived)
      arrived = []
      return [taken]
    }
  }
  const turn = {
    now: () => 0,
    running: () => true,
    run: (work: () => void) => work(),
    defer: nothing,
    cork: nothing,
    uncork: nothing,
    requestTick: nothing,
    takeTickRequest: () => false
  }
  const { read } = makeFace(connection as never, turn)
  const arrive = (octet: number): void => {
    arrived.push(octet)
    while (readers.size > 0 && arrived.length > 0) readers.wakeOne()
  }
  return { arrive, read, readable: () => arrived.length, places: () => readers.size }
}

/** A fiber that yields behind the second thing it does, and has looked then, but was given nothing yet. */
const readSlowly = (read: ReturnType<typeof makeConnection>["read"]) =>
  Effect.runForkWith(Context.make(MaxOpsBeforeYield, 3))(Effect.flatMap(read, ([chunk]) => Effect.succeed([...chunk])))

it.effect("a fiber that yields before it is given what it found loses it to nobody", () =>
  Effect.gen(function*() {
    const { arrive, read, readable } = makeConnection()
    arrive(1)
    const slow = readSlowly(read)
    expect([slow.pollUnsafe(), readable()]).toEqual([undefined, 0])
    arrive(2)
    expect(yield* read).toEqual([Uint8Array.of(2)])
    const waiting = yield* Effect.forkChild(read, { startImmediately: true })
    arrive(3)
    expect(yield* Fiber.join(waiting)).toEqual([Uint8Array.of(3)])
    expect(yield* Fiber.join(slow)).toEqual([1])
    arrive(4)
    expect(yield* read).toEqual([Uint8Array.of(4)])
  }))

it.effect("one that is interrupted just then leaves nothing to the next one", () =>
  Effect.gen(function*() {
    const { arrive, read, readable } = makeConnection()
    arrive(1)
    const slow = readSlowly(read)
    expect([slow.pollUnsafe(), readable()]).toEqual([undefined, 0])
    yield* Fiber.interrupt(slow)
    for (const octet of [2, 3]) {
      arrive(octet)
      expect(yield* read).toEqual([Uint8Array.of(octet)])
    }
  }))

it.effect("those that are interrupted while they wait take nothing, and leave one place between them", () =>
  Effect.gen(function*() {
    const { arrive, places, read, readable } = makeConnection()
    for (let time = 0; time < 10; time++) {
      yield* Fiber.interrupt(yield* Effect.forkChild(read, { startImmediately: true }))
      expect(places()).toBe(1)
    }
    const waiting = yield* Effect.forkChild(read, { startImmediately: true })
    expect(places()).toBe(2)
    arrive(1)
    expect(yield* Fiber.join(waiting)).toEqual([Uint8Array.of(1)])
    expect(places()).toBe(0)
    yield* Fiber.interrupt(yield* Effect.forkChild(read, { startImmediately: true }))
    arrive(2)
    expect([places(), readable()]).toEqual([0, 1])
    expect(yield* read).toEqual([Uint8Array.of(2)])
  }))

it.effect("those that wait at the same time are served in their order", () =>
  Effect.gen(function*() {
    const { arrive, places, read } = makeConnection()
    const fibers = yield* Effect.forEach(
      [1, 2, 3, 4],
      () => Effect.forkChild(read, { startImmediately: true })
    )
    yield* Fiber.interrupt(fibers[2]!)
    for (const octet of [1, 2, 4]) arrive(octet)
    for (const number of [1, 2, 4]) expect(yield* Fiber.join(fibers[number - 1]!)).toEqual([Uint8Array.of(number)])
    expect(places()).toBe(0)
  }))
