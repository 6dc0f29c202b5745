/**
 * Programs that some tests need.
 */
import { spawnSync } from "node:child_process"

/** Whether a test that needs `tool` is to be left out: never where `CI` promises that all tools are there. */
export const isMissing = (tool: string): boolean => {
  if (process.env.CI !== undefined && process.env.CI !== "") return false
  return spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined
}
