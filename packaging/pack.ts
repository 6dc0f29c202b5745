/**
 * Writes the tarballs of the packages: `npm run pack`, into `tarballs/`.
 *
 * In the repository the packages run from their sources, and a manifest's `exports` name those. A published manifest must name
 * what the compiler made of them, and npm has no way to say so: its `publishConfig` takes settings of the registry alone. So each
 * package is staged in a directory of its own, as it will be published, and npm packs that.
 *
 * What becomes of a manifest:
 * - `./src/X.ts` in `exports` becomes `./dist/X.js`, with its types;
 * - what `publishConfig` has takes the place of what the manifest has, as it does with other package managers;
 * - `private` is gone. It is in the repository so that nobody publishes what is there by mistake.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** The packages, each after those it depends on. */
export const PACKAGES = ["core", "drivers", "sockets", "simulation", "cli"] as const
export type PackageName = (typeof PACKAGES)[number]

type Json = { readonly [key: string]: unknown }

const run = (command: string, args: ReadonlyArray<string>, cwd: string): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 64 << 20 })
  if (error !== undefined || status !== 0) {
    throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? ""}${stdout}${stderr}`)
  }
  return stdout
}

/** Compiles all packages, each into its `dist/`. */
export const build = (): void => {
  const tsc = join(ROOT, "node_modules/.bin/tsc")
  run(process.execPath, [tsc, "-b", ...PACKAGES.map((name) => `packages/${name}`)], ROOT)
}

const compiled = (source: string) => {
  const output = source.replace(/^\.\/src\//, "./dist/").replace(/\.ts$/, "")
  return { types: `${output}.d.ts`, default: `${output}.js` }
}

const isSource = (target: unknown): target is string => typeof target === "string" && target.startsWith("./src/")

/** The manifest as it is published. */
export const publishedManifest = (manifest: Json): Json => {
  const { exports, private: _private, publishConfig, ...rest } = manifest
  const entries = Object.entries(exports as Json).map(([path, target]) => [
    path,
    isSource(target) ? compiled(target) : target
  ])
  return { ...rest, exports: Object.fromEntries(entries), ...(publishConfig as Json | undefined) }
}

const OUTPUTS = [".js", ".js.map", ".d.ts", ".d.ts.map"]

/** What the compiler made of each source: `dist` may also have what it made of sources that are no more. */
const copyOutputs = (from: string, to: string): void => {
  const sources = readdirSync(join(from, "src"), { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".ts")
  )
  for (const source of sources) {
    for (const ending of OUTPUTS) {
      const output = join("dist", source.replace(/\.ts$/, ending))
      mkdirSync(dirname(join(to, output)), { recursive: true })
      cpSync(join(from, output), join(to, output))
    }
  }
}

/** What of the repository belongs to a package beside its own directory. */
const BESIDE: { readonly [name in PackageName]?: ReadonlyArray<string> } = { drivers: ["native", "binding.gyp"] }

/** Makes the directory `to` what the package is when it is published. It must have been built. */
export const stage = (name: PackageName, to: string): void => {
  const from = join(ROOT, "packages", name)
  copyOutputs(from, to)
  cpSync(join(from, "src"), join(to, "src"), { recursive: true })
  cpSync(join(from, "README.md"), join(to, "README.md"))
  for (const path of ["LICENSE", ...BESIDE[name] ?? []]) cpSync(join(ROOT, path), join(to, path), { recursive: true })
  const manifest = publishedManifest(JSON.parse(readFileSync(join(from, "package.json"), "utf8")))
  writeFileSync(join(to, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Packs what is built; the answer has the tarball of each package. */
export const pack = (destination: string): Readonly<Record<PackageName, string>> => {
  mkdirSync(destination, { recursive: true })
  const staging = mkdtempSync(join(tmpdir(), "strata-pack-"))
  try {
    const tarballs = PACKAGES.map((name) => {
      const directory = join(staging, name)
      mkdirSync(directory)
      stage(name, directory)
      const file = run("npm", ["pack", "--silent", "--pack-destination", destination], directory).trim()
      return [name, join(destination, file)] as const
    })
    return Object.fromEntries(tarballs) as Record<PackageName, string>
  } finally {
    rmSync(staging, { recursive: true })
  }
}

if (import.meta.main) {
  build()
  for (const tarball of Object.values(pack(join(ROOT, "tarballs")))) process.stdout.write(`${tarball}\n`)
}
