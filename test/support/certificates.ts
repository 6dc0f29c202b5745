/**
 * Certificates for one run of a test, made by `openssl` in a folder that is gone at once: an authority, a server and a client
 * whom it vouches for, and a stranger of the same name whom nobody does.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** The authority's certificate. */
  readonly ca: string
  readonly server: Identity
  /** Also of the authority, for another name. */
  readonly other: Identity
  readonly client: Identity
  /** Signed by itself. */
  readonly stranger: Identity
}

/** The names in the certificates of servers. */
export const NAME = "strata.test"
export const OTHER_NAME = "other.test"

const NEW = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ")

/** `addresses` are in the server's certificate, too. */
export const makeCertificates = (...addresses: ReadonlyArray<string>): Certificates => {
  const folder = mkdtempSync(join(tmpdir(), "strata-"))
  const path = (name: string) => join(folder, name)
  const read = (name: string) => readFileSync(path(name), "utf8")
  const make = (name: string, subject: string, extensions: ReadonlyArray<string>, authority?: string): Identity => {
    const extended = extensions.flatMap((extension) => ["-addext", extension])
    const signed = authority === undefined ? [] : ["-CA", path(`${authority}.crt`), "-CAkey", path(`${authority}.key`)]
    const into = ["-subj", `/CN=${subject}`, "-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)]
    execFileSync("openssl", [...NEW, ...into, ...extended, ...signed], { stdio: "pipe" })
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) }
  }
  const isNoAuthority = "basicConstraints=critical,CA:FALSE"
  const known = (names: ReadonlyArray<string>) => [isNoAuthority, `subjectAltName=${names.join(",")}`]
  const names = [`DNS:${NAME}`, ...addresses.map((address) => `IP:${address}`)]
  try {
    return {
      ca: make("ca", "strata test authority", []).cert,
      server: make("server", NAME, known(names), "ca"),
      other: make("other", OTHER_NAME, known([`DNS:${OTHER_NAME}`]), "ca"),
      client: make("client", "a client", [isNoAuthority], "ca"),
      stranger: make("stranger", NAME, known(names))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
