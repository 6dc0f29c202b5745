/**
 * What programs do with `ioredis`, and what it tells them when something goes wrong.
 */
import { AbstractConnector, Redis, type RedisOptions } from "ioredis"
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { type Case, errorOf, happening, Port, type Side, type Subject, told } from "./Subject.ts"

const MiB = 1024 * 1024

/** How `ioredis` is given a stream: by a class that makes one for each attempt to connect. */
const connectorOf = ({ net }: Side) =>
  class extends AbstractConnector {
    private readonly target: { readonly host: string; readonly port: number }

    constructor(options: unknown) {
      const { disconnectTimeout, host, port } = options as { disconnectTimeout: number; host: string; port: number }
      super(disconnectTimeout)
      this.target = { host, port }
    }

    override async connect() {
      this.connecting = true
      this.stream = net.createConnection(this.target)
      this.stream.once("error", (error) => {
        this.firstError = error
      })
      return this.stream
    }
  }

type Options = Omit<RedisOptions, "replyMapping">

export const make = (subject: Side, more: Options = {}): Redis =>
  new Redis({ host: subject.host, port: Port.redis, Connector: connectorOf(subject), ...more })

/** A client for as long as `use` runs; the database is empty before. */
const withRedis = async <A>(subject: Subject, use: (redis: Redis) => Promise<A>, more?: Options): Promise<A> => {
  const redis = make(subject, more)
  try {
    await redis.flushall()
    return await use(redis)
  } finally {
    const ended = happening(redis, "end")
    await redis.quit()
    await ended
  }
}

/** What happens to a client, in its order. */
const watched = (redis: Redis, subject: Subject) => {
  const events: Array<unknown> = []
  for (const name of ["connect", "ready", "close", "reconnecting", "end"]) redis.on(name, () => events.push(name))
  redis.on("error", (error) => events.push(told(error, subject)))
  return events
}

/** What has happened at all, not how often or in which order. */
const kinds = (events: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  [...new Set(events.map((event) => typeof event === "string" ? event : (event as { readonly code: string }).code))]
    .toSorted()

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/** Waits until something is so that nobody tells of. */
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!await holds()) await sleep(5)
}

const working: ReadonlyArray<Case> = [
  {
    name: "values are set, got, counted and deleted",
    run: (subject) =>
      withRedis(subject, async (redis) => [
        await redis.set("name", "strata"),
        await redis.get("name"),
        await redis.incrby("count", 41),
        await redis.incr("count"),
        await redis.hset("hash", { a: 1, b: "ß" }),
        await redis.hgetall("hash"),
        await redis.rpush("list", ...numbers(1000)),
        (await redis.lrange("list", 0, -1)).length,
        await redis.del("name", "count"),
        await redis.get("name"),
        told(await errorOf(redis.incr("hash")), subject)
      ])
  },
  {
    name: "a pipeline has 10,000 commands",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const pipeline = redis.pipeline()
        for (const index of numbers(5000)) pipeline.set(`key ${index}`, index).get(`key ${index}`)
        const results = await pipeline.exec()
        assert.deepEqual(results, numbers(5000).flatMap((index) => [[null, "OK"], [null, String(index)]]))
        return redis.dbsize()
      })
  },
  {
    name: "10,000 commands are sent without waiting for answers",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const results = await Promise.all(numbers(10_000).map(() => redis.incr("count")))
        assert.deepEqual(results, numbers(10_000).map((index) => index + 1))
        return redis.get("count")
      })
  },
  {
    name: "1,000 commands wait for the answer to the one before",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        for (const index of numbers(1000)) assert.equal(await redis.incr("count"), index + 1)
        return redis.get("count")
      })
  },
  {
    name: "what is published is heard by subscribers",
    run: (subject) =>
      withRedis(subject, async (publisher) => {
        const subscriber = make(subject)
        const heard: Array<readonly [string, string]> = []
        const all = new Promise<void>((resolve) => {
          subscriber.on("message", (channel, message) => {
            if (heard.push([channel, message]) === 1000) resolve()
          })
        })
        await subscriber.subscribe("news", "weather")
        const receivers = await Promise.all(
          numbers(1000).map((index) => publisher.publish(index % 2 === 0 ? "news" : "weather", `item ${index}`))
        )
        await all
        assert.deepEqual(heard, numbers(1000).map((index) => [index % 2 === 0 ? "news" : "weather", `item ${index}`]))
        const left = await subscriber.unsubscribe()
        await subscriber.quit()
        return [new Set(receivers).size, left]
      })
  },
  {
    name: "a blocking pop waits for a push",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const waiting = redis.duplicate()
        const popped = waiting.blpop("jobs", 20)
        await until(async () => /blocked_clients:1/.test(await redis.info("clients")))
        await redis.rpush("jobs", "one")
        const result = await popped
        const nothing = await waiting.blpop("jobs", 0.1)
        await waiting.quit()
        assert.deepEqual([result, nothing], [["jobs", "one"], null])
        return result
      })
  },
  {
    name: "a value of 8 MiB goes both ways",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const data = randomBytes(8 * MiB)
        await redis.set("blob", data)
        const back = await redis.getBuffer("blob")
        assert.equal(sha256(back!), sha256(data))
        return redis.strlen("blob")
      })
  },
  {
    name: "a transaction is executed, or not when a watched key changes",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const other = redis.duplicate()
        const done = await redis.multi().set("a", 1).incr("a").get("a").exec()
        await redis.watch("a")
        await other.set("a", 10)
        const aborted = await redis.multi().incr("a").exec()
        await other.quit()
        assert.deepEqual(done, [[null, "OK"], [null, 2], [null, "2"]])
        assert.equal(aborted, null)
        return redis.get("a")
      })
  },
  {
    name: "a scan goes through 5,000 keys",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        await redis.mset(Object.fromEntries(numbers(5000).map((index) => [`key ${index}`, index])))
        const seen = new Set<string>()
        for await (const keys of redis.scanStream({ match: "key *", count: 100 })) for (const key of keys) seen.add(key)
        return seen.size
      })
  },
  {
    name: "commands join a pipeline by themselves",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const results = await Promise.all(numbers(1000).map((index) => redis.set(`key ${index}`, index)))
        return [new Set(results).size, await redis.dbsize()]
      }, { enableAutoPipelining: true, keepAlive: 1000 })
  }
]

const failing: ReadonlyArray<Case> = [
  {
    name: "nobody listens: ECONNREFUSED at each attempt, and at last the end",
    run: async (subject) => {
      const redis = make(subject, {
        port: Port.closed,
        retryStrategy: (times) => times < 3 ? 20 : null
      })
      const events = watched(redis, subject)
      const failed = errorOf(redis.get("name"))
      await happening(redis, "end")
      const error = told(await failed, subject)
      assert.equal(error.message, "Connection is closed.")
      assert.equal(events.filter((event) => (event as { code?: string }).code === "ECONNREFUSED").length, 3)
      return [error, events]
    }
  },
  {
    name: "nobody listens: a command gives up after so many attempts",
    run: async (subject) => {
      const redis = make(subject, { port: Port.closed, maxRetriesPerRequest: 2, retryStrategy: () => 10 })
      redis.on("error", () => {})
      const error = told(await errorOf(redis.get("name")), subject)
      redis.disconnect()
      assert.equal(error.name, "MaxRetriesPerRequestError")
      return error
    }
  },
  {
    name: "no answer: ETIMEDOUT",
    run: async (subject) => {
      const redis = make(subject, { port: Port.dark, connectTimeout: 200, retryStrategy: null, lazyConnect: true })
      const events = watched(redis, subject)
      const error = told(await errorOf(redis.connect()), subject)
      assert.match(JSON.stringify(events), /connect ETIMEDOUT/)
      return [error, events]
    }
  },
  {
    name: "a command takes too long: Command timed out",
    run: async (subject) => {
      const redis = make(subject, { commandTimeout: 200, blockingTimeoutGrace: 10_000 })
      const error = told(await errorOf(redis.call("debug", "sleep", "1")), subject)
      await redis.quit().catch(() => redis.disconnect())
      return error
    }
  },
  {
    name: "a client is killed in the middle of a command: it connects again and waits on",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const waiting = make(subject, { retryStrategy: () => 20 })
        const events = watched(waiting, subject)
        const id = await waiting.client("ID")
        const popped = waiting.blpop("jobs", 20)
        await until(async () => /blocked_clients:1/.test(await redis.info("clients")))
        assert.equal(await redis.client("KILL", "ID", id), 1)
        await until(() => events.filter((event) => event === "ready").length === 2)
        await redis.rpush("jobs", "one")
        assert.deepEqual(await popped, ["jobs", "one"])
        const ended = happening(waiting, "end")
        await waiting.quit()
        await ended
        return events
      })
  },
  {
    name: "a client is killed in the middle of a command and is not to try again: Connection is closed.",
    run: (subject) =>
      withRedis(subject, async (redis) => {
        const waiting = make(subject, { retryStrategy: null })
        const events = watched(waiting, subject)
        const id = await waiting.client("ID")
        const failed = errorOf(waiting.blpop("jobs", 20))
        await until(async () => /blocked_clients:1/.test(await redis.info("clients")))
        await redis.client("KILL", "ID", id)
        const error = told(await failed, subject)
        assert.equal(error.message, "Connection is closed.")
        return [error, events]
      })
  },
  {
    name: "the connection is reset when a command is sent: ECONNRESET",
    run: async (subject) => {
      const redis = make(subject, { retryStrategy: null })
      const events = watched(redis, subject)
      await redis.ping()
      await subject.reset(Port.redis)
      const error = told(await errorOf(redis.ping()), subject)
      if (redis.status !== "end") await happening(redis, "end")
      await subject.heal()
      assert.match(JSON.stringify(events), /ECONNRESET/)
      return [error, events]
    }
  },
  {
    name: "the server is killed and started again: clients and subscribers come back",
    run: async (subject) => {
      const first = await subject.startRedis()
      const options = { port: Port.ownRedis, retryStrategy: () => 50, maxRetriesPerRequest: null }
      const redis = make(subject, options)
      const subscriber = make(subject, options)
      const events = watched(redis, subject)
      const later = watched(subscriber, subject)
      await redis.set("name", "strata")
      await subscriber.subscribe("news")
      await first.stop()
      await until(() => [events, later].every((each) => kinds(each).includes("ECONNREFUSED")))
      // Asked while nobody is there, answered when somebody is.
      const name = redis.get("name")
      const second = await subject.startRedis()
      assert.equal(await name, null)
      const heard = once(subscriber, "message")
      await until(async () => await redis.publish("news", "again") === 1)
      assert.deepEqual(await heard, ["news", "again"])
      await Promise.all([redis, subscriber].map(async (each) => {
        const ended = happening(each, "end")
        await each.quit()
        await ended
      }))
      await second.stop()
      return [events, later].map(kinds)
    }
  }
]

export const redis: ReadonlyArray<Case> = [...working, ...failing].map(({ name, run }) => ({
  name: `ioredis: ${name}`,
  run
}))
