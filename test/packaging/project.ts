/**
 * Projects outside of the repository, and what is run in them.
 */
import { execFile } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { type PackageName, PACKAGES, ROOT } from "../../packaging/pack.ts"

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What npm tells the programs it runs about itself and the package they belong to, which is another one here. */
const OF_NPM = /^npm_(package|lifecycle|command|execpath|node|config_(local_prefix|global_prefix|prefix|node_gyp))/

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_NPM.test(name)))

/** Programs are run by the Node that runs the tests. */
const PATH = `${dirname(process.execPath)}${delimiter}${process.env["PATH"]}`

/** Runs a program to its end. */
export const run = (
  directory: string,
  command: string,
  args: ReadonlyArray<string>,
  given: Readonly<Record<string, string>> = {}
): Promise<Outcome> =>
  new Promise((resolve) => {
    const settings = { cwd: directory, env: { ...environment, PATH, ...given }, maxBuffer: 64 << 20, timeout: 150_000 }
    const child = execFile(command, args, settings, (error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr: child.exitCode === null ? `${stderr}${error}` : stderr })
    })
    child.stdin?.end()
  })

export const node = (directory: string, ...args: ReadonlyArray<string>): Promise<Outcome> =>
  run(directory, process.execPath, args)

export const succeed = async (running: Promise<Outcome>): Promise<Outcome> => {
  const outcome = await running
  if (outcome.code === 0) return outcome
  throw new Error(`it ended with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`)
}

/** The versions of the repository, which its own installation has left in npm's cache. */
const versions: Readonly<Record<string, string>> =
  JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).devDependencies
const PEERS = ["effect", "@effect/platform-node"].map((name) => `${name}@${versions[name]}`)

/** Makes an empty project and installs packages into it, as `npm install` does; the answer is the project. */
export const install = async (
  directory: string,
  tarballs: Readonly<Record<PackageName, string>>,
  options: ReadonlyArray<string> = []
): Promise<string> => {
  mkdirSync(directory)
  // npm 12 and later run the install scripts that are named here.
  const allowScripts = { [`file:${tarballs.drivers}`]: true }
  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", private: true, allowScripts }))
  const wanted = [...PACKAGES.map((name) => tarballs[name]), ...PEERS]
  await succeed(
    run(directory, "npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...options, ...wanted])
  )
  return directory
}

/** Puts a program into a project. */
export const write = (directory: string, name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

export const fromRepository = (path: string): string => readFileSync(join(ROOT, path), "utf8")

/** The programs that the README prints whole, in their order. */
export const printed = (): ReadonlyArray<string> =>
  [...fromRepository("README.md").matchAll(/<!-- \S+\.ts -->\n```ts\n([\s\S]*?)```/g)].map((match) => match[1]!)
