/**
 * How fast networks run in virtual time.
 *
 * `transfer`: a mebibyte over a wire that loses, duplicates and reorders a little, between two hosts that are made for
 * it; with invariants and a capture, and without them. `idle`: ten connections do nothing for an hour. `lan`: a
 * hundred hosts on a switch, each of which sends 100 KiB to the one before it, at a loss of 1 %.
 */
import { idleConnections, lossyTransfer, neighbours } from "../../test/support/simulation/programs.ts"
import { main } from "../support/program.ts"
import { running } from "./running.ts"

await main({
  "transfer, bare": running(lossyTransfer, { invariants: false }, false),
  "transfer, invariants": running(lossyTransfer, {}, false),
  "transfer, capture": running(lossyTransfer, { invariants: false }, true),
  "transfer, invariants and capture": running(lossyTransfer, {}, true),
  "idle, invariants": running(idleConnections(10), {}, false),
  "lan, invariants and capture": running(neighbours(100), {}, true)
})
