#!/usr/bin/env node
/**
 * The command `strata` of the published package; `bin/strata.js` is that of the repository.
 */
import { run } from "./run.ts"

run(process.argv.slice(2))
