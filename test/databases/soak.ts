/**
 * Work for a while, for a path that loses packets: what was acknowledged must be there, once.
 */
import assert from "node:assert/strict"
import { Client, Pool } from "pg"
import { config } from "./postgres.ts"
import { make } from "./redis.ts"
import type { Side } from "./Subject.ts"

const WORKERS = 8
const TEXT = "x".repeat(50_000)

/** Works for so many milliseconds; fails when anything fails, or is not as it was acknowledged. */
export const soak = async (side: Side, milliseconds: number): Promise<void> => {
  const end = performance.now() + milliseconds
  const pool = new Pool({ ...config(side), max: WORKERS })
  const redis = make(side, { retryStrategy: null })
  await pool.query("create table steps (worker int, step int, text text, primary key (worker, step))")
  const work = async (worker: number): Promise<number> => {
    let step = 0
    while (performance.now() < end) {
      step++
      await pool.query("insert into steps values ($1, $2, $3)", [worker, step, step % 10 === 0 ? TEXT : "short"])
      await undone(pool, worker, step)
      const { rows } = await pool.query("select text from steps where worker = $1 and step = $2", [worker, step])
      assert.deepEqual(rows, [{ text: step % 10 === 0 ? TEXT : "short" }])
      assert.equal(await redis.incr(`worker ${worker}`), step)
    }
    return step
  }
  const done = await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
  const { rows } = await pool.query("select count(*)::int as n from steps group by worker order by worker")
  assert.deepEqual(rows.map(({ n }) => n), done)
  assert.ok(done.every((steps) => steps > 0))
  await pool.query("drop table steps")
  await pool.end()
  await redis.quit()
}

/** A transaction that is rolled back. */
const undone = async (pool: Pool, worker: number, step: number): Promise<void> => {
  const client = await pool.connect()
  try {
    await client.query("begin")
    await client.query("delete from steps where worker = $1 and step = $2", [worker, step])
    await client.query("rollback")
  } finally {
    client.release()
  }
}

/** How many clients the server of PostgreSQL has, whoever asks among them. */
export const backends = async (side: Side): Promise<number> => {
  const client = new Client(config(side))
  await client.connect()
  const { rows } = await client.query(
    "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend'"
  )
  await client.end()
  return rows[0].n
}
