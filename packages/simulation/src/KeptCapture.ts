/**
 * The capture of a run that may fail: its latest packets are kept in memory,
 * and handed over when it has failed.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"

/** Octets of packets that are kept by default. */
const LIMIT = 64 * 1024 * 1024
/** The type of pcapng's enhanced packet blocks; the other blocks, few and small, say what packets mean. */
const PACKET = 6

/** A file, or whoever takes the octets of the pcapng. `{seed}` in the name of a file stands for the seed. */
export type Destination = string | ((pcapng: Uint8Array) => Effect.Effect<void>)

export class KeptCapture {
  private readonly limit: number
  private readonly head: Array<Uint8Array> = []
  private packets: Array<Uint8Array> = []
  /** Index of the oldest packet that is still kept. */
  private first = 0
  private octets = 0
  private forgottenBefore = 0

  /** `limit` in octets of packets; beyond it, the oldest are forgotten. */
  constructor(limit = LIMIT) {
    this.limit = limit
  }

  add(block: Uint8Array): void {
    const type = block[0]! | block[1]! << 8 | block[2]! << 16 | block[3]! << 24
    if (type !== PACKET) return void this.head.push(block)
    this.packets.push(block)
    this.octets += block.length
    while (this.octets > this.limit) this.octets -= this.packets[this.first++]!.length
    // Half of the array is holes: time to move on.
    if (this.first > 1024 && this.first * 2 > this.packets.length) {
      this.packets = this.packets.slice(this.first)
      this.forgottenBefore += this.first
      this.first = 0
    }
  }

  /** Packets that were forgotten: the numbers of the others are less by as many. */
  get forgotten(): number {
    return this.forgottenBefore + this.first
  }

  /** All that is kept, as a pcapng file. */
  bytes(): Uint8Array {
    const blocks = [...this.head, ...this.packets.slice(this.first)]
    const whole = new Uint8Array(blocks.reduce((length, block) => length + block.length, 0))
    let at = 0
    for (const block of blocks) {
      whole.set(block, at)
      at += block.length
    }
    return whole
  }
}

/** Hands a capture over; what became of it, in words. */
export const handOver = (self: KeptCapture, destination: Destination, seed: number): Effect.Effect<string> => {
  const lacking = self.forgotten === 0 ? "" : `, without its first ${self.forgotten} packets`
  if (typeof destination !== "string") {
    return Effect.as(destination(self.bytes()), `its capture was handed over${lacking}`)
  }
  const path = destination.replaceAll("{seed}", `${seed}`)
  return write(path, self.bytes()).pipe(
    Effect.as(`its capture is in ${path}${lacking}`),
    Effect.catch((problem) => Effect.succeed(`its capture cannot be written to ${path}: ${problem}`))
  )
}

/** Writes to the caller's `FileSystem`; tests seldom have one, and then Node's will do where there is Node. */
const write = (path: string, bytes: Uint8Array): Effect.Effect<void, string> =>
  Effect.flatMap(
    Effect.serviceOption(FileSystem.FileSystem),
    Option.match({
      onNone: () => {
        const node = globalThis.process?.getBuiltinModule?.("node:fs")
        if (node === undefined) return Effect.fail("provide a FileSystem")
        return Effect.try({ try: () => node.writeFileSync(path, bytes), catch: String })
      },
      onSome: (files) => Effect.mapError(files.writeFile(path, bytes), ({ message }) => message)
    })
  )
