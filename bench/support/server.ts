/**
 * strata's side of the measurements: `server.ts <options as JSON>`, on a TAP in a namespace. It prints `ready`, and answers
 * each line on its standard input with a line of JSON (`Told`). It ends when its standard input does.
 */
import { NodeRuntime } from "@effect/platform-node"
import { NetworkStack, Statistics } from "@strata/core"
import { Tap } from "@strata/drivers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Allocations } from "./allocations.ts"
import { apis } from "./apis.ts"

export interface ServerOptions {
  readonly api: string
  readonly namespace: string
  readonly device: string
  readonly address: string
  /** As the TAP takes it. */
  readonly offload: boolean | { readonly vnet?: boolean; readonly checksum?: boolean }
}

/** What it tells about itself. */
export interface Told {
  readonly counters: Readonly<Record<string, number>>
  /** Octets allocated in JavaScript's heap since the last question; 0 the first time. */
  readonly allocated: number
  /** Octets in use after a garbage collection, where the process may ask for one; in the heap and outside of it. */
  readonly used: number
  readonly resident: number
}

/** Nothing is watched before the first question. */
let allocations: Allocations | undefined

const tell = Effect.gen(function*() {
  const counters = yield* Effect.flatMap(Statistics, ({ snapshot }) => snapshot)
  const allocated = allocations?.since() ?? 0
  allocations ??= new Allocations()
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  const told: Told = { counters, allocated, used: heapUsed + external, resident: rss }
  process.stdout.write(`${JSON.stringify(told)}\n`)
})

/** Whoever asks waits for the answer; when nobody can ask any more, it is time to go. */
const answerAll = Stream.runForEach(Stream.fromAsyncIterable(process.stdin, String), () => tell)

const serve = ({ address, api, device, namespace, offload }: ServerOptions) => {
  const options = { name: device, address, namespace, offload }
  const host = Tap.layer(options).pipe(Layer.provideMerge(NetworkStack.layer))
  return Effect.gen(function*() {
    yield* apis.find(({ name }) => name === api)!.serve
    process.stdout.write("ready\n")
    yield* answerAll
  }).pipe(Effect.scoped, Effect.provide(host))
}

NodeRuntime.runMain(serve(JSON.parse(process.argv[2]!)))
