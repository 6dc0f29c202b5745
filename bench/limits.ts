/**
 * What must not grow unnoticed: system calls, copies, segments, allocations and memory, which do not depend on how fast a machine
 * is or what else it does. `npm run bench -- --counters` prints them, and a test holds them to their limits.
 *
 * A limit is about one and a half times what is usual, so that twice as much is noticed. Somebody else's work can make a
 * figure worse but hardly better: the best of some attempts counts.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Counted, counting } from "./support/counting.ts"
import type { Failure } from "./support/failure.ts"
import type { Work } from "./support/load.ts"
import { idleConnection } from "./support/memory.ts"
import { program } from "./support/program.ts"
import type { Offload, Testbed } from "./support/testbed.ts"

/** One figure of those that come from the same work. */
export interface Limit {
  readonly what: string
  /** The figure may be that at the most. */
  readonly most: number
  readonly why: string
}

/** What is done, and the figures that it gives, in the order of the limits. */
export interface Group {
  readonly title: string
  readonly limits: ReadonlyArray<Limit>
  readonly figures: (
    testbed: Effect.Effect<Testbed, Failure>
  ) => Effect.Effect<ReadonlyArray<number>, Failure, Scope.Scope>
}

const MEBIBYTE = 2 ** 20

const perMebibyte = ({ result }: Counted): number => result.octets / MEBIBYTE
const perOperation = ({ result }: Counted): number => result.operations

type Reading = readonly [Limit, (counted: Counted) => number]

const SECONDS = 0.4
/** Compilers allocate, too: what counts begins when they are done. */
const WARM_UP = 3

const transfer = (
  title: string,
  work: Work,
  offload: Offload,
  readings: ReadonlyArray<Reading>,
  api = "stream"
): Group => ({
  title,
  limits: readings.map(([limit]) => limit),
  figures: Effect.fnUntraced(function*(made) {
    const testbed = yield* made
    const server = yield* testbed.strata({ api, offload })
    for (let warm = 0; warm < WARM_UP; warm++) yield* testbed.load(server, work, { seconds: SECONDS })
    const counted = yield* counting(testbed, server, work, SECONDS)
    return readings.map(([, read]) => read(counted))
  })
})

const per = (amount: (counted: Counted) => number, ...counters: ReadonlyArray<string>) => (counted: Counted) =>
  counters.reduce((sum, name) => sum + counted.count(name), 0) / amount(counted)

const allocated = (amount: (counted: Counted) => number) => (counted: Counted) => counted.allocated / amount(counted)

const copied = (counted: Counted): number =>
  counted.count("device.octetsCopied") / (counted.count("device.octetsRead") + counted.count("device.octetsWritten"))

const sentAgain: Reading = [
  { what: "segments sent again", most: 0, why: "nothing gets lost on the way" },
  (counted) => counted.count("tcp.retransmitted")
]

const copies: Reading = [
  { what: "copies in the driver, for an octet", most: 0.01, why: "headers only: payload is read and written in place" },
  copied
]

/** Why anything is allocated where nothing is made. */
const BOXED = "numbers that V8 keeps outside of their records"

const machine = (
  title: string,
  what: string,
  most: number,
  why = "the new control block and what the transition tells"
): Group => ({
  title: `TCP machine, ${title}`,
  limits: [{
    what: "octets allocated for a segment",
    most,
    why
  }],
  figures: (testbed) =>
    Effect.map(program(title, "machine", what).measure(testbed, 0.1), ({ allocated: octets = NaN }) => [octets])
})

const connections = (title: string, what: string, most: number, outliving: number, why: string): Group => ({
  title: `Connections without a network, ${title}`,
  limits: [
    { what: "octets allocated for each", most, why },
    { what: "octets for each that outlive a collection", most: outliving, why: "what a connection keeps is made once" }
  ],
  figures: (testbed) =>
    Effect.map(
      program(title, "connections", what).measure(testbed, 0.1),
      ({ allocated: octets = NaN, promoted = NaN }) => [octets, promoted]
    )
})

/** Enough for what is shared to be little in comparison. */
const IDLE = 2000

export const groups: ReadonlyArray<Group> = [
  transfer("Bulk, received with offload", { mode: "send" }, "kernel", [
    [
      { what: "reads for a mebibyte", most: 40, why: "16 frames of 64 KiB, and an empty read for each batch" },
      per(perMebibyte, "device.reads")
    ],
    [
      { what: "writes for a mebibyte", most: 25, why: "one acknowledgement at the most for each of the 16 frames" },
      per(perMebibyte, "device.writes")
    ],
    copies,
    [
      { what: "octets allocated for a mebibyte", most: 45_000, why: "16 chunks and wake-ups; of the segments nothing" },
      allocated(perMebibyte)
    ],
    sentAgain
  ]),
  transfer("Bulk, sent with offload", { mode: "receive" }, "kernel", [
    [
      { what: "writes for a mebibyte", most: 40, why: "16 frames of 64 KiB; some are cut short by the window" },
      per(perMebibyte, "device.writes")
    ],
    copies,
    [
      { what: "octets allocated for a mebibyte", most: 18_000, why: "what was written is sent from where it is" },
      allocated(perMebibyte)
    ],
    sentAgain
  ]),
  transfer("Bulk, received without offload", { mode: "send" }, "none", [
    [
      { what: "reads for a mebibyte", most: 800, why: "724 frames of 1,448 octets, and an empty read for each batch" },
      per(perMebibyte, "device.reads")
    ],
    [
      {
        what: "octets allocated for a mebibyte",
        most: 400_000,
        why: "724 views of what is copied, and chunks; of the segments nothing"
      },
      allocated(perMebibyte)
    ],
    sentAgain
  ]),
  transfer("64 connections, requests and answers", { mode: "rr", size: 64, connections: 64 }, "kernel", [
    [
      { what: "reads and writes for an exchange", most: 3, why: "the answer acknowledges the request" },
      per(perOperation, "device.reads", "device.writes")
    ],
    [
      {
        what: "octets allocated for an exchange",
        most: 2600,
        why: "a chunk, its copy and a wake-up; of the segments nothing"
      },
      allocated(perOperation)
    ],
    sentAgain
  ]),
  transfer("Connect and close", { mode: "connect", connections: 32 }, "kernel", [
    [
      {
        what: "reads and writes for a connection",
        most: 8,
        why: "six segments: SYN, its answer, two FINs, two acknowledgements"
      },
      per(perOperation, "device.reads", "device.writes")
    ],
    [
      {
        what: "octets allocated for a connection",
        most: 44_000,
        why: "the connection, its control blocks, its scope and fiber"
      },
      allocated(perOperation)
    ]
  ]),
  transfer("UDP echo", { mode: "udp", size: 64, outstanding: 32 }, "kernel", [
    [
      { what: "reads and writes for an echo", most: 2.6, why: "one of each" },
      per(perOperation, "device.reads", "device.writes")
    ],
    [
      { what: "octets allocated for an echo", most: 1200, why: "the datagram and its addresses" },
      allocated(perOperation)
    ]
  ]),
  transfer(
    "UDP echo through `node:dgram`",
    { mode: "udp", size: 64, outstanding: 32 },
    "kernel",
    [
      [
        { what: "writes for an echo", most: 0.5, why: "what listeners answer in ticks of their own leaves together" },
        per(perOperation, "device.writes")
      ],
      [
        { what: "octets allocated for an echo", most: 2600, why: "the message, who it is from, and two ticks" },
        allocated(perOperation)
      ]
    ],
    "net"
  ),
  machine("receive", "receive", 3200),
  machine("receive in batches", "receive in batches", 1800),
  machine("send", "send", 2700),
  machine("request and answer", "exchange", 6400),
  machine("receive in place", "receive in place", 160, BOXED),
  machine("receive in batches in place", "receive in batches in place", 20, BOXED),
  machine("send in place", "send in place", 160, BOXED),
  machine("request and answer in place", "exchange in place", 160, BOXED),
  connections(
    "opened and closed",
    "connect stream",
    43_000,
    600,
    "its control block, two buffers, a fiber, and two Streams"
  ),
  connections(
    "opened and closed, after others that lasted",
    "connect stream after others",
    43_000,
    1500,
    "what V8 has seen of those makes no difference"
  ),
  connections("opened and closed, `Tcp`", "connect plain", 43_000, 600, "the same with a scope of its own"),
  connections(
    "echo among 1,000",
    "echo stream 1000",
    2600,
    80,
    "a chunk, its copy and a wake-up, whatever their number; of the segments nothing"
  ),
  {
    title: "Idle connections",
    limits: [{ what: "KiB in use for each", most: 15, why: "no buffers are held for what is not there" }],
    figures: Effect.fnUntraced(function*(made) {
      return [yield* idleConnection(yield* made, "stream", IDLE)]
    })
  }
]

/** How a group stands; `tries` times at the most, the best of each figure counting. */
export const check = Effect.fnUntraced(
  function*(group: Group, testbed: Effect.Effect<Testbed, Failure>, tries: number) {
    let best: ReadonlyArray<number> = group.limits.map(() => Infinity)
    const isGood = () => group.limits.every(({ most }, index) => best[index]! <= most)
    for (let attempt = 0; attempt < tries && !isGood(); attempt++) {
      const figures = yield* group.figures(testbed)
      best = best.map((figure, index) => Math.min(figure, figures[index]!))
    }
    return group.limits.map((limit, index) => ({ ...limit, figure: best[index]! }))
  },
  Effect.scoped
)
