/**
 * Builds the native drivers when the project is installed. Where that is not possible the installation still succeeds,
 * since the in-memory devices do not need them; one line says what is missing.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

const say = (line) => process.stdout.write(`strata: ${line}\n`)

/** What a build needs beside node-gyp, and what has it in Debian. */
const TOOLS = [["g++", "g++"], ["make", "make"], ["python3", "python3"]]

const missing = () =>
  TOOLS.filter(([tool]) => spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined)
    .map(([, debianPackage]) => debianPackage)

/** The headers that came with this Node, so that none need to be fetched. */
const headers = () => {
  const root = dirname(dirname(process.execPath))
  const given = process.env.npm_config_nodedir !== undefined
  return given || !existsSync(join(root, "include/node/node_api.h")) ? [] : [`--nodedir=${root}`]
}

const build = () => {
  // npm says where its own node-gyp is.
  const own = process.env.npm_config_node_gyp
  const [command, ...prefix] = own === undefined ? ["node-gyp"] : [process.execPath, own]
  return spawnSync(command, [...prefix, "rebuild", ...headers()], { encoding: "utf8", maxBuffer: 64 << 20 })
}

const onlyInMemory = "the native drivers are not built, only in-memory devices will work"

if (process.platform !== "linux") {
  say(`${onlyInMemory}: they need Linux, and this is ${process.platform}`)
} else {
  const result = build()
  if (result.status === 0) {
    say("the native drivers are built")
  } else {
    mkdirSync("build", { recursive: true })
    writeFileSync("build/native.log", `${result.error ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`)
    const tools = missing()
    const remedy = tools.length > 0
      ? `install ${tools.join(", ")} (apt-get install ${tools.join(" ")})`
      : "see build/native.log for the reason"
    say(`${onlyInMemory}: ${remedy}, then run \`npm rebuild\``)
  }
}
