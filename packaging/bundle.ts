/**
 * Bundles programs for browsers.
 */
import { join } from "node:path"
import { rolldown } from "rolldown"

export interface Bundle {
  /** One script, minified. */
  readonly code: string
  /** The files of which something is in it. */
  readonly modules: ReadonlyArray<string>
  /** What it would import when it runs: nothing, where it can run in a browser. */
  readonly imports: ReadonlyArray<string>
}

/** Bundles a program that finds packages and files as a module in `directory` does. */
export const bundle = async (directory: string, program: string): Promise<Bundle> => {
  const entry = join(directory, "strata-entry.mjs")
  const unresolved: Array<string> = []
  await using build = await rolldown({
    input: entry,
    cwd: directory,
    platform: "browser",
    plugins: [{
      name: "entry",
      resolveId: (id) => id === entry ? entry : null,
      load: (id) => id === entry ? program : null
    }],
    onLog: (level, log, handler) => {
      if (log.code === "UNRESOLVED_IMPORT") unresolved.push(log.message)
      // Effect asks there for variables that some bundlers set, and can do without.
      else if (level === "warn" && log.code !== "EMPTY_IMPORT_META") handler(level, log)
    }
  })
  const { output } = await build.generate({ format: "iife", minify: true })
  const [chunk, ...others] = output
  if (others.length > 0) throw new Error(`one script was to be made, and not ${output.length}`)
  const rendered = Object.entries(chunk.modules).filter(([, module]) => module.renderedLength > 0)
  return {
    code: chunk.code,
    modules: rendered.map(([path]) => path).filter((path) => path !== entry),
    imports: [...unresolved, ...chunk.imports, ...chunk.dynamicImports]
  }
}
