/**
 * Builds and packs the packages once for all tests of this folder, and installs the tarballs into an empty project without
 * any install script, which is all that most of the tests need.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { build, pack, type PackageName } from "../../packaging/pack.ts"
import { install } from "./project.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** The tarball of each package. */
    readonly tarballs: Readonly<Record<PackageName, string>>
    /** A project that has all packages, and no addon. */
    readonly withoutAddon: string
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "strata-packaging-"))
  const remove = () => rmSync(folder, { recursive: true })
  try {
    build()
    const tarballs = pack(join(folder, "tarballs"))
    project.provide("tarballs", tarballs)
    project.provide("withoutAddon", await install(join(folder, "without-addon"), tarballs, ["--ignore-scripts"]))
  } catch (error) {
    remove()
    throw error
  }
  return remove
}
