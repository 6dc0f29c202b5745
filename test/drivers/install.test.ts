import { assert, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../../native/build.mjs", import.meta.url))

/** Runs the installation script in an empty project, with these programs and no others. */
const install = (tools: Readonly<Record<string, string>>) => {
  const project = mkdtempSync(join(tmpdir(), "strata-install-"))
  try {
    for (const [name, text] of Object.entries(tools)) {
      writeFileSync(join(project, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    }
    const { status, stdout } = spawnSync(process.execPath, [script], {
      cwd: project,
      env: { PATH: project },
      encoding: "utf8"
    })
    const log = tools["node-gyp"] === "exit 0" ? "" : readFileSync(join(project, "build/native.log"), "utf8")
    return { status, stdout, log }
  } finally {
    rmSync(project, { recursive: true })
  }
}

const tools = { "g++": "exit 0", make: "exit 0", python3: "exit 0" }

it.runIf(process.platform === "linux")(
  "the installation succeeds without a compiler, and names what is missing",
  () => {
    const bare = install({ make: "exit 0" })
    assert.strictEqual(bare.status, 0)
    assert.strictEqual(
      bare.stdout,
      "strata: the native drivers are not built, only in-memory devices will work: " +
        "install g++, python3 (apt-get install g++ python3), then run `npm rebuild`\n"
    )
  }
)

it.runIf(process.platform === "linux")("the installation keeps the log of a build that failed", () => {
  const broken = install({ ...tools, "node-gyp": "echo the compiler is too old; exit 1" })
  assert.strictEqual(broken.status, 0)
  assert.match(broken.stdout, /^strata: the native drivers are not built.*see build\/native\.log[^\n]*\n$/)
  assert.include(broken.log, "the compiler is too old")
})

it.runIf(process.platform === "linux")("the installation says so when the drivers are built", () => {
  const built = install({ ...tools, "node-gyp": "exit 0" })
  assert.deepStrictEqual([built.status, built.stdout], [0, "strata: the native drivers are built\n"])
})
