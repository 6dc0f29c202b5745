/**
 * What programs do with `pg`, and what it tells them when something goes wrong.
 */
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { Client, type ClientConfig, type Notification, Pool } from "pg"
import { CERTIFICATE, CERTIFIED_NAME, USER } from "../support/databases.ts"
import { type Case, errorOf, happening, Port, type Side, type Subject, told } from "./Subject.ts"

const MiB = 1024 * 1024

export const config = ({ host, net }: Side, more: ClientConfig = {}): ClientConfig => ({
  ...USER,
  host,
  port: Port.postgres,
  stream: () => new net.Socket(),
  ...more
})

/** A client for as long as `use` runs. */
const withClient = async <A>(
  subject: Subject,
  use: (client: Client) => Promise<A>,
  more?: ClientConfig
): Promise<A> => {
  const client = new Client(config(subject, more))
  // What it fails with is also that of the query, or of connecting.
  client.on("error", () => {})
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

const withPool = async <A>(subject: Subject, max: number, use: (pool: Pool) => Promise<A>): Promise<A> => {
  const pool = new Pool({ ...config(subject), max })
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

const numbers = (from: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => from + i)

/** A client on which a query waits in the server, and what becomes of the client. */
const inQuery = async (subject: Subject, more?: ClientConfig) => {
  const client = new Client(config(subject, more))
  const errors: Array<unknown> = []
  client.on("error", (error) => errors.push(told(error, subject)))
  const ended = happening(client, "end")
  await client.connect()
  const { rows: [{ pid }] } = await client.query("select pg_backend_pid() as pid")
  return { client, pid: pid as number, errors, ended }
}

const working: ReadonlyArray<Case> = [
  {
    name: "a table of 10,000 rows is filled by parameters, and read",
    run: (subject) =>
      withClient(subject, async (client) => {
        await client.query("create temporary table people (id int primary key, name text not null, score float8)")
        const text = "insert into people select * from unnest($1::int[], $2::text[], $3::float8[])"
        for (let from = 0; from < 9000; from += 1000) {
          const ids = numbers(from, 1000)
          await client.query(text, [ids, ids.map((id) => `person ${id}`), ids.map((id) => id / 8)])
        }
        for (const id of numbers(9000, 1000)) {
          await client.query({
            name: "one",
            text: "insert into people values ($1, $2, $3)",
            values: [id, `person ${id}`, id / 8]
          })
        }
        const { fields, rowCount, rows } = await client.query("select id, name, score from people order by id")
        assert.equal(rowCount, 10_000)
        rows.forEach((row, id) => assert.deepEqual(row, { id, name: `person ${id}`, score: id / 8 }))
        return fields.map(({ dataTypeID, name }) => [name, dataTypeID])
      })
  },
  {
    name: "one statement brings 10,000 rows",
    run: (subject) =>
      withClient(subject, async (client) => {
        await client.query("create temporary table lines (id int, line text)")
        const values = numbers(0, 10_000).map((id) => `(${id}, '${String(id).repeat(40)}')`).join(",\n")
        assert.ok(values.length > 1_500_000)
        const { rowCount } = await client.query(`insert into lines values ${values}`)
        const { rows } = await client.query("select md5(string_agg(line, '' order by id)) as md5 from lines")
        const expected = numbers(0, 10_000).map((id) => String(id).repeat(40)).join("")
        assert.equal(rows[0].md5, createHash("md5").update(expected).digest("hex"))
        return rowCount
      })
  },
  {
    name: "transactions are rolled back and committed",
    run: (subject) =>
      withPool(subject, 2, async (pool) => {
        const table = `accounts_${subject.name}`
        await pool.query(`create table ${table} (name text primary key, balance int check (balance >= 0))`)
        await pool.query(`insert into ${table} values ('a', 100), ('b', 0)`)
        const client = await pool.connect()
        const balances = async () => (await pool.query(`select balance from ${table} order by name`)).rows
        const move = async (amount: number) => {
          await client.query(`update ${table} set balance = balance + $1 where name = 'b'`, [amount])
          await client.query(`update ${table} set balance = balance - $1 where name = 'a'`, [amount])
        }
        await client.query("begin")
        await move(60)
        // Another connection sees nothing of it yet.
        const meanwhile = await balances()
        await client.query("commit")
        const after = await balances()
        await client.query("begin")
        const refused = await errorOf(move(60))
        const aborted = await errorOf(client.query("select 1"))
        await client.query("rollback")
        client.release()
        const last = await balances()
        assert.deepEqual([meanwhile, after, last], [
          [{ balance: 100 }, { balance: 0 }],
          [{ balance: 40 }, { balance: 60 }],
          [{ balance: 40 }, { balance: 60 }]
        ])
        await pool.query(`drop table ${table}`)
        assert.equal((aborted as { code: string }).code, "25P02")
        return [(refused as { code: string }).code, told(aborted, subject)]
      })
  },
  {
    name: "a value of 16 MiB goes both ways",
    run: (subject) =>
      withClient(subject, async (client) => {
        await client.query("create temporary table blobs (data bytea)")
        const data = randomBytes(16 * MiB)
        await client.query("insert into blobs values ($1)", [data])
        const { rows: [{ hash }] } = await client.query("select encode(sha256(data), 'hex') as hash from blobs")
        assert.equal(hash, sha256(data))
        const { rows: [{ data: back }] } = await client.query("select data from blobs")
        assert.equal(sha256(back), sha256(data))
        return back.length
      })
  },
  {
    name: "what one notifies another hears",
    run: (subject) =>
      withClient(subject, (listener) =>
        withClient(subject, async (speaker) => {
          const channel = `news_${subject.name}`
          const heard: Array<Notification> = []
          const all = new Promise<void>((resolve) => {
            listener.on("notification", (notification) => {
              if (heard.push(notification) === 100) resolve()
            })
          })
          await listener.query(`listen ${channel}`)
          for (const index of numbers(0, 100)) {
            await speaker.query("select pg_notify($1, $2)", [channel, `item ${index}`])
          }
          await all
          assert.deepEqual(
            heard.map((one) => [one.channel, one.payload]),
            numbers(0, 100).map((i) => [channel, `item ${i}`])
          )
          return heard.length
        }))
  },
  {
    name: "a cursor goes through 50,000 rows",
    run: (subject) =>
      withClient(subject, async (client) => {
        await client.query("begin")
        await client.query("declare many cursor for select n, repeat('x', 40) as text from generate_series(1, 50000) n")
        let [sum, fetches] = [0, 0]
        for (;;) {
          const { rows } = await client.query("fetch 1000 from many")
          if (rows.length === 0) break
          fetches++
          for (const { n, text } of rows) {
            assert.equal(text.length, 40)
            sum += n
          }
        }
        await client.query("commit")
        assert.equal(sum, 50_000 * 50_001 / 2)
        return fetches
      })
  },
  {
    name: "a pool of ten answers a thousand queries",
    run: (subject) =>
      withPool(subject, 10, async (pool) => {
        const results = await Promise.all(
          numbers(0, 1000).map((n) => pool.query("select $1::int * 2 as twice, pg_backend_pid() as pid", [n]))
        )
        assert.deepEqual(results.map(({ rows }) => rows[0].twice), numbers(0, 1000).map((n) => n * 2))
        const backends = new Set(results.map(({ rows }) => rows[0].pid))
        assert.equal(backends.size, 10)
        return [pool.totalCount, pool.idleCount, pool.waitingCount]
      })
  },
  {
    name: "queries are sent before the answers to others",
    run: (subject) =>
      withClient(subject, async (client) => {
        const results = await Promise.all(numbers(0, 500).map((n) => client.query("select $1::int as n", [n])))
        assert.deepEqual(results.map(({ rows }) => rows[0].n), numbers(0, 500))
        return results.length
      }, { pipeline: true } as ClientConfig)
  },
  {
    name: "TLS is put on the connection",
    run: (subject) =>
      withClient(subject, async (client) => {
        const { rows: [{ ssl, version }] } = await client.query(
          "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        )
        const data = randomBytes(MiB)
        const { rows: [{ back }] } = await client.query("select $1::bytea as back", [data])
        assert.equal(sha256(back), sha256(data))
        assert.equal(ssl, true)
        return version
      }, { ssl: { ca: readFileSync(CERTIFICATE, "utf8"), servername: CERTIFIED_NAME } })
  },
  {
    name: "keep-alive can be asked for",
    run: (subject) =>
      withClient(subject, async (client) => (await client.query("select 1 as one")).rows, {
        keepAlive: true,
        keepAliveInitialDelayMillis: 1000
      })
  }
]

const failing: ReadonlyArray<Case> = [
  {
    name: "nobody listens: ECONNREFUSED",
    run: async (subject) => {
      const error = told(await errorOf(new Client(config(subject, { port: Port.closed })).connect()), subject)
      assert.equal(error.code, "ECONNREFUSED")
      assert.equal(error.message, `connect ECONNREFUSED the server:${Port.closed}`)
      return error
    }
  },
  {
    name: "nobody listens: a pool says the same",
    run: (subject) =>
      withPool(subject, 2, async () => {
        const pool = new Pool(config(subject, { port: Port.closed }))
        const error = told(await errorOf(pool.query("select 1")), subject)
        await pool.end()
        assert.equal(error.code, "ECONNREFUSED")
        return [error, pool.totalCount]
      })
  },
  {
    name: "no answer: timeout expired",
    run: async (subject) => {
      const client = new Client(config(subject, { port: Port.dark, connectionTimeoutMillis: 300 }))
      const error = told(await errorOf(client.connect()), subject)
      assert.equal(error.message, "timeout expired")
      return error
    }
  },
  {
    name: "a wrong password: 28P01",
    run: async (subject) => {
      const error = told(await errorOf(new Client(config(subject, { password: "wrong" })).connect()), subject)
      assert.equal(error.code, "28P01")
      return error
    }
  },
  {
    name: "the certificate is for somebody else: ERR_TLS_CERT_ALTNAME_INVALID",
    run: async (subject) => {
      const ssl = { ca: readFileSync(CERTIFICATE, "utf8"), servername: "other.test" }
      const error = told(await errorOf(new Client(config(subject, { ssl })).connect()), subject)
      assert.equal(error.code, "ERR_TLS_CERT_ALTNAME_INVALID")
      return error
    }
  },
  {
    name: "a query takes too long for the server: 57014, and the connection stays",
    run: (subject) =>
      withClient(subject, async (client) => {
        const error = told(await errorOf(client.query("select pg_sleep(20)")), subject)
        assert.equal(error.code, "57014")
        return [error, (await client.query("select 1 as one")).rows]
      }, { statement_timeout: 200 })
  },
  {
    name: "a query takes too long for the client: Query read timeout",
    run: async (subject) => {
      const { client, ended, errors } = await inQuery(subject, { query_timeout: 300 })
      const error = told(await errorOf(client.query("select pg_sleep(1)")), subject)
      assert.equal(error.message, "Query read timeout")
      void client.end()
      await ended
      return [error, errors]
    }
  },
  {
    name: "the backend is told to end: 57P01",
    run: async (subject) => {
      const { client, ended, errors, pid } = await inQuery(subject)
      const failed = errorOf(client.query("select pg_sleep(20)"))
      await withClient(subject, async (other) => {
        await asleep(other, pid)
        await other.query("select pg_terminate_backend($1)", [pid])
      })
      const error = told(await failed, subject)
      await ended
      assert.equal(error.code, "57P01")
      return [error, errors]
    }
  },
  {
    name: "the backend is killed: Connection terminated unexpectedly",
    run: async (subject) => {
      const { client, ended, errors, pid } = await inQuery(subject)
      const failed = errorOf(client.query("select pg_sleep(20)"))
      await withClient(subject, (other) => asleep(other, pid))
      process.kill(pid, "SIGKILL")
      const error = told(await failed, subject)
      await ended
      await recovered(subject)
      assert.equal(error.message, "Connection terminated unexpectedly")
      return [error, errors, told(await errorOf(client.query("select 1")), subject)]
    }
  },
  {
    name: "the connection is reset when a query is sent: ECONNRESET",
    run: async (subject) => {
      const { client, ended, errors } = await inQuery(subject)
      await subject.reset(Port.postgres)
      const error = told(await errorOf(client.query("select 1")), subject)
      await ended
      await subject.heal()
      assert.equal(error.code, "ECONNRESET", JSON.stringify(error))
      return [error, errors]
    }
  },
  {
    name: "the connection is reset when a large query is on its way",
    run: async (subject) => {
      const { client, ended, errors } = await inQuery(subject)
      const failed = errorOf(client.query("select length($1::text)", ["x".repeat(64 * MiB)]))
      await subject.reset(Port.postgres)
      const error = told(await failed, subject)
      await ended
      await subject.heal()
      // Whether the end is noticed by reading or by writing is chance.
      assert.match(String(error.code), /^(ECONNRESET|EPIPE)$/)
      return errors.length > 0
    }
  },
  {
    name: "a pool goes on after its idle connections are gone",
    run: async (subject) => {
      const pool = new Pool({ ...config(subject), max: 3 })
      const errors: Array<unknown> = []
      pool.on("error", (error) => errors.push((error as unknown as { code: unknown }).code))
      const pids = await Promise.all(
        numbers(0, 3).map(async () => (await pool.query("select pg_backend_pid() as pid, pg_sleep(0.05)")).rows[0].pid)
      )
      assert.equal(new Set(pids).size, 3)
      await withClient(
        subject,
        (other) => other.query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", [pids])
      )
      while (pool.totalCount > 0) await sleep(10)
      const { rows } = await pool.query("select 1 as one")
      await pool.end()
      return [errors, rows]
    }
  }
]

/** Waits until another's query has been read and is waited for. */
const asleep = async (client: Client, pid: number): Promise<void> => {
  const text = "select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"
  while ((await client.query(text, [pid])).rowCount === 0) await sleep(10)
}

/** Waits until the server is there again: when a backend crashes, it ends all others and starts anew. */
const recovered = async (subject: Subject): Promise<void> => {
  for (;;) {
    try {
      return await withClient(subject, async (client) => void await client.query("select 1"))
    } catch {
      await sleep(50)
    }
  }
}

export const postgres: ReadonlyArray<Case> = [...working, ...failing].map(({ name, run }) => ({
  name: `pg: ${name}`,
  run
}))
