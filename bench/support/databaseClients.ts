/**
 * The clients of `bench/databases.ts`: what is measured, on both sides in turns. Prints a line of JSON for each figure.
 */
import * as Effect from "effect/Effect"
import { AbstractConnector, Redis } from "ioredis"
import { Pool } from "pg"
import { Host, sides } from "../../test/databases/sides.ts"
import { Port, type Side } from "../../test/databases/Subject.ts"
import { USER } from "../../test/support/databases.ts"
import * as Namespace from "../../test/support/namespace.ts"

export interface Figure {
  readonly name: string
  readonly side: Side["name"]
  /** Queries for a second. */
  readonly rate: number
  /** Microseconds of processor time for a query. */
  readonly processor: number
}

interface Clients {
  readonly side: Side["name"]
  readonly pool: Pool
  readonly redis: Redis
}

const open = async ({ host, name, net }: Side): Promise<Clients> => {
  class Connector extends AbstractConnector {
    constructor() {
      super(2000)
    }
    override async connect() {
      this.connecting = true
      return this.stream = net.createConnection({ host, port: Port.redis }).once(
        "error",
        (error) => this.firstError = error
      )
    }
  }
  const pool = new Pool({
    ...USER,
    host,
    port: Port.postgres,
    max: 10,
    idleTimeoutMillis: 0,
    stream: () => new net.Socket()
  })
  return { side: name, pool, redis: new Redis({ Connector }) }
}

/** Does something again and again, `width` at a time, until the time is over; each counts for so many queries. */
const repeat = async (milliseconds: number, width: number, one: () => Promise<number>): Promise<number> => {
  const end = performance.now() + milliseconds
  let done = 0
  const line = async () => {
    while (performance.now() < end) {
      const more = await one()
      done += more
    }
  }
  await Promise.all(Array.from({ length: width }, line))
  return done
}

const query = async ({ pool }: Clients): Promise<number> => {
  const { rows } = await pool.query({ name: "next", text: "select $1::int + 1 as next", values: [41] })
  if (rows[0].next !== 42) throw new Error("a wrong answer")
  return 1
}

const get = async ({ redis }: Clients): Promise<number> => {
  if (await redis.get("name") !== "strata") throw new Error("a wrong answer")
  return 1
}

const pipeline = async ({ redis }: Clients): Promise<number> => {
  const commands = redis.pipeline()
  for (let index = 0; index < 100; index++) commands.get("name")
  const answers = await commands.exec()
  if (!answers?.every(([error, value]) => error === null && value === "strata")) throw new Error("a wrong answer")
  return 100
}

const WORK: ReadonlyArray<readonly [name: string, width: number, one: (clients: Clients) => Promise<number>]> = [
  ["pg, one query after the other", 1, query],
  ["pg, ten connections", 10, query],
  ["ioredis, one command after the other", 1, get],
  ["ioredis, pipelines of 100", 1, pipeline]
]

const measure = async (
  clients: Clients,
  milliseconds: number,
  [name, width, one]: typeof WORK[number]
): Promise<Figure> => {
  const [before, start] = [process.cpuUsage(), performance.now()]
  const done = await repeat(milliseconds, width, () => one(clients))
  const { system, user } = process.cpuUsage(before)
  return {
    name,
    side: clients.side,
    rate: done / (performance.now() - start) * 1000,
    processor: (system + user) / done
  }
}

if (import.meta.main) {
  const [serverName, rounds, milliseconds] = process.argv.slice(2) as [string, string, string]
  const runAll = Effect.flatMap(sides, ({ kernel, strata }) =>
    Effect.promise(async () => {
      const both = [await open(kernel), await open(strata)]
      for (const clients of both) {
        await clients.redis.set("name", "strata")
        for (const work of WORK) await measure(clients, 200, work)
      }
      for (let round = 0; round < Number(rounds); round++) {
        for (const work of WORK) {
          for (const clients of both) {
            process.stdout.write(`${JSON.stringify(await measure(clients, Number(milliseconds), work))}\n`)
          }
        }
      }
      for (const { pool, redis } of both) await Promise.all([pool.end(), redis.quit()])
    }))
  await Effect.runPromise(Effect.scoped(Effect.provide(runAll, Host(Namespace.named(serverName)))))
  process.exit(0)
}
