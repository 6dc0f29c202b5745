/**
 * The table of behaviours: how sockets of Node behave, and those of strata with them.
 */
import { datagrams } from "./datagrams.ts"
import { failures } from "./failures.ts"
import { flow } from "./flow.ts"
import { lives } from "./lives.ts"
import { processes } from "./process.ts"
import type { Group, Row } from "./row.ts"
import { servers } from "./servers.ts"
import { states } from "./states.ts"
import type { Logs, Place } from "./world.ts"

export const table: ReadonlyArray<Group> = [lives, failures, states, flow, servers, datagrams, processes]

export type Results = Readonly<Record<Place, Logs>>

const INTRODUCTION = `# Behaviours of sockets, in Node and on strata

What programs see of \`node:net\` and \`node:dgram\`, and of their counterparts in \`@strata/sockets/node\`. Each row is a program of
\`test/node/behaviours\`, which a test runs twice: with Node itself over loopback, and with two hosts of strata on a simulated wire in
real time. It compares what both sides of the connection have seen, event by event, and with this page. Where nothing is said of
strata it does the same as Node; where it does otherwise on purpose the row says why. Addresses and ports have names: \`host\`, \`port\`.
\`test/linux/nodeTimeouts.test.ts\` adds what loopback cannot show, ETIMEDOUT: \`connect ETIMEDOUT host:port\` and \`read ETIMEDOUT\`, on the kernel and on strata.

This page is written by its test: \`npx vitest run --project unit test/node/Behaviours.test.ts -u\`.
`

/** The page, of what the rows have shown. */
export const page = (resultsOf: (row: Row) => Results): string =>
  [INTRODUCTION, ...table.map((group) => section(group, resultsOf))].join("\n")

const section = ({ rows, title }: Group, resultsOf: (row: Row) => Results): string =>
  [
    `## ${title}`,
    "",
    "| a program | sees |",
    "|---|---|",
    ...rows.map((row) => `| ${cell(row.name)} | ${describe(row, resultsOf(row))} |`),
    ""
  ].join("\n")

const describe = ({ differs }: Row, { node, strata }: Results): string =>
  differs === undefined ? sides(node) : `**Node** ${sides(node)}<br>**strata** ${sides(strata)}<br>${cell(differs)}`

const sides = (logs: Logs): string =>
  (["client", "server"] as const)
    .filter((side) => logs[side].length > 0)
    .map((side) => `${side}: ${logs[side].map((line) => `\`${cell(line)}\``).join(", ")}`)
    .join("<br>")

const cell = (text: string): string => text.replaceAll("|", "\\|")
