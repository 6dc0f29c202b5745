/**
 * PostgreSQL and Redis as Debian has them, in a network namespace: started for a scope and stopped with it, with their data in
 * a folder that goes with them. Nothing is written for good: what they hold need not outlive a crash of the machine.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Kernel, quiet } from "./linux.ts"
import * as NamespaceModule from "./namespace.ts"
import type { Namespace, Running } from "./namespace.ts"

/** The servers' address for those who come by the cable. */
export const BY_CABLE = "198.51.100.1"

/** Where Debian keeps the programs of PostgreSQL, of its newest version that is installed. */
const POSTGRES_FOLDER = ((): string => {
  const root = "/usr/lib/postgresql"
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Number.isInteger) : []
  return versions.length === 0 ? "" : join(root, String(Math.max(...versions)), "bin")
})()

const INITDB = join(POSTGRES_FOLDER, "initdb")
const POSTGRES = join(POSTGRES_FOLDER, "postgres")

/** What `postgres` and `redis` run. */
export const PROGRAMS: ReadonlyArray<string> = [INITDB, POSTGRES, "redis-server", "setpriv"]

/** Who may log in to PostgreSQL. */
export const USER = { user: "strata", password: "a secret", database: "postgres" } as const

/** Of the certificate that PostgreSQL shows: it is for this name. */
export const CERTIFICATE = fileURLToPath(new URL("../sockets/fixtures/tls.crt", import.meta.url))
export const CERTIFIED_NAME = "strata.test"

const KEY = fileURLToPath(new URL("../sockets/fixtures/tls.key", import.meta.url))

/** The user called nobody: PostgreSQL refuses to run as root. */
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

const AS_NOBODY = isRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : []

/** A server that is told to end when whoever has started it is gone without a word, too. */
const ending = (
  signal: NodeJS.Signals,
  ...command: ReadonlyArray<string>
): ReadonlyArray<string> => ["setpriv", `--pdeathsig=${signal.slice("SIG".length)}`, ...command]

const folder = (name: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const made = mkdtempSync(join(tmpdir(), `strata-${name}-`))
      chmodSync(made, 0o711)
      return made
    }),
    (made) => Effect.sync(() => rmSync(made, { recursive: true }))
  )

/** Asks a program to end when the scope closes, and waits until it has; who does not, is killed by `spawn`'s own finalizer. */
const endingWith = (signal: NodeJS.Signals, running: Running): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer(() =>
    Effect.andThen(running.kill(signal), Effect.asVoid(Effect.timeoutOption(running.result, "10 seconds")))
  )

/** PostgreSQL on all addresses of a namespace, ready to be asked, with TLS for those who want it. */
export const postgres = Effect.fnUntraced(function*(namespace: Namespace, port = 5432) {
  const path = yield* folder("postgres")
  const data = join(path, "data")
  const [password, certificate, key] = [join(path, "password"), join(path, "tls.crt"), join(path, "tls.key")]
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(password, USER.password)
  copyFileSync(CERTIFICATE, certificate)
  copyFileSync(KEY, key)
  chmodSync(key, 0o600)
  if (isRoot) { for (const file of [data, password, certificate, key]) chownSync(file, NOBODY, NOBODY) }
  yield* namespace.succeed(
    "setpriv",
    ...AS_NOBODY,
    INITDB,
    `--pgdata=${data}`,
    `--username=${USER.user}`,
    `--pwfile=${password}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-locale",
    "--no-sync"
  )
  writeFileSync(
    join(data, "pg_hba.conf"),
    ["local", "host"].map((type) => `${type} all all ${type === "host" ? "all " : ""}scram-sha-256\n`).join("")
  )
  const settings = {
    port,
    listen_addresses: "*",
    unix_socket_directories: "",
    fsync: "off",
    full_page_writes: "off",
    synchronous_commit: "off",
    shared_buffers: "16MB",
    max_connections: 40,
    autovacuum: "off",
    ssl: "on",
    ssl_cert_file: certificate,
    ssl_key_file: key
  }
  const running = yield* namespace.spawn(...ending(
    "SIGINT",
    ...AS_NOBODY,
    POSTGRES,
    "-D",
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  ))
  // Its fast shutdown.
  yield* endingWith("SIGINT", running)
  yield* running.prints(/ready to accept connections/)
})

/** Redis on all addresses of a namespace, ready to be asked. */
export const redis = Effect.fnUntraced(function*(namespace: Namespace, port = 6379) {
  const path = yield* folder("redis")
  const settings = {
    port,
    bind: "0.0.0.0",
    "protected-mode": "no",
    save: "",
    appendonly: "no",
    daemonize: "no",
    dir: path
  }
  const running = yield* namespace.spawn(...ending(
    "SIGTERM",
    "redis-server",
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  ))
  yield* endingWith("SIGTERM", running)
  yield* running.prints(/eady to accept connections/)
  return running
})

/**
 * A namespace for servers, with the `tap0` of `Kernel`, and one for clients on the kernel's sockets, with a cable to the first
 * one.
 */
export const network: Effect.Effect<{ readonly server: Namespace; readonly client: Namespace }, never, Scope.Scope> =
  Effect.gen(function*() {
    const server = Context.get(yield* Layer.build(Kernel.layer), Kernel)
    const client = yield* NamespaceModule.make
    yield* quiet(client)
    yield* NamespaceModule.veth({ namespace: server, name: "cable0" }, { namespace: client, name: "cable0" })
    yield* server.succeed("ip", "addr", "add", `${BY_CABLE}/24`, "dev", "cable0")
    yield* client.succeed("ip", "addr", "add", "198.51.100.2/24", "dev", "cable0")
    return { server, client }
  })
