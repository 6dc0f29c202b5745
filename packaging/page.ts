/**
 * Makes `examples/browser` one file that can be opened, or sent to somebody: `npm run build:browser`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { bundle } from "./bundle.ts"

const EXAMPLE = fileURLToPath(new URL("../examples/browser", import.meta.url))
const SCRIPT = "<script type=\"module\" src=\"./main.ts\"></script>"

/** The page with its script inside; the packages are those that `directory` finds, which has the example's files. */
export const makePage = async (directory: string): Promise<string> => {
  const { code, imports } = await bundle(directory, "import \"./main.ts\"")
  if (imports.length > 0) throw new Error(`a browser does not have ${imports.join(", ")}`)
  const page = readFileSync(`${directory}/index.html`, "utf8")
  if (!page.includes(SCRIPT)) throw new Error(`the page does not have ${SCRIPT}`)
  return page.replace(SCRIPT, () => `<script>${code.replaceAll("</script", "<\\/script")}</script>`)
}

if (import.meta.main) {
  const page = await makePage(EXAMPLE)
  mkdirSync(`${EXAMPLE}/dist`, { recursive: true })
  writeFileSync(`${EXAMPLE}/dist/index.html`, page)
  process.stdout.write(`examples/browser/dist/index.html, ${Math.round(page.length / 1024)} KiB\n`)
}
