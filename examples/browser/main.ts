/**
 * Draws the packets of a conversation: time goes down, and each packet is a line from the host that sent it to the other.
 */
import { Cause, Effect } from "effect"
import { type Conversation, converse, type Flight, type Settings } from "./conversation.ts"

const WIDTH = 1000
const TOP = 60
const LEFT = 230
const RIGHT = WIDTH - LEFT
/** What is between two events one below the other: as much as the time between them says, within bounds. */
const GAP = { perMillisecond: 3, least: 13, most: 48 }
/** Milliseconds of real time until the last packet is drawn. */
const SHOW = 3000

const element = <K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string | number>>,
  ...children: ReadonlyArray<Node | string>
): SVGElementTagNameMap[K] => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

const find = <E extends Element>(selector: string, type: new() => E): E => {
  const found = document.querySelector(selector)
  if (found instanceof type) return found
  throw new Error(`the page has no ${selector}`)
}

/** What matters of a packet, beside its line. */
const short = (words: string): string =>
  words.replace(/^tcp \S+ > [^,]+, /, "").replace(/^arp, /, "ARP: ").replace(/, window \d+$/, "")

/** Where on the drawing a packet leaves, and where it arrives. */
interface Place {
  readonly flight: Flight
  readonly leaves: number
  readonly arrives: number
}

/** Text that goes on where the line of a packet ends. */
const beyond = (x: number, { from }: Flight) =>
  from === "client" ? { x: x + 6, "text-anchor": "start" } : { x: x - 6, "text-anchor": "end" }

const line = ({ arrives, flight, leaves }: Place, duration: number): SVGGElement => {
  const lost = flight.arrived === undefined
  const [from, to] = flight.from === "client" ? [LEFT, RIGHT] : [RIGHT, LEFT]
  const end = lost ? (from + to) / 2 : to
  const kind = lost ? "lost" : flight.words.startsWith("arp") ? "arp" : flight.from
  const beside = flight.from === "client"
    ? { x: from - 10, "text-anchor": "end" }
    : { x: from + 10, "text-anchor": "start" }
  return element(
    "g",
    { class: `flight ${kind}`, style: `animation-delay: ${Math.round(flight.sent / duration * SHOW)}ms` },
    element("title", {}, `${flight.sent.toFixed(3)} ms: ${flight.words}${lost ? ", lost" : ""}`),
    element("line", { x1: from, y1: leaves, x2: end, y2: arrives }),
    lost
      ? element("text", { ...beyond(end, flight), y: arrives + 4 }, "✕ lost")
      : element("circle", { cx: end, cy: arrives, r: 3 }),
    element("text", { ...beside, y: leaves + 4 }, short(flight.words))
  )
}

/** Puts all that happens one below the other, in the order of time. */
const arrange = (
  flights: ReadonlyArray<Flight>
): { readonly places: ReadonlyArray<Place>; readonly bottom: number } => {
  const events = flights.flatMap((flight) => [
    { flight, time: flight.sent, arrival: false },
    ...flight.arrived === undefined ? [] : [{ flight, time: flight.arrived, arrival: true }]
  ]).toSorted((one, other) => one.time - other.time)
  const leaves = new Map<Flight, number>()
  const arrives = new Map<Flight, number>()
  let bottom = TOP
  let before = 0
  for (const { arrival, flight, time } of events) {
    bottom += Math.min(Math.max((time - before) * GAP.perMillisecond, GAP.least), GAP.most)
    before = time
    if (arrival) arrives.set(flight, bottom)
    else leaves.set(flight, bottom)
  }
  const places = flights.map((flight) => {
    const start = leaves.get(flight) ?? TOP
    return { flight, leaves: start, arrives: arrives.get(flight) ?? start + GAP.least }
  })
  return { places, bottom: bottom + 2 * GAP.least }
}

const draw = (svg: SVGSVGElement, { duration, flights }: Conversation): void => {
  const { bottom, places } = arrange(flights)
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${bottom + GAP.least}`)
  svg.replaceChildren(
    ...([["client, 10.0.0.1", LEFT], ["server, 10.0.0.2", RIGHT]] as const).flatMap(([name, x]) => [
      element("text", { class: "host", x, y: 30, "text-anchor": "middle" }, name),
      element("line", { class: "life", x1: x, y1: TOP - 16, x2: x, y2: bottom })
    ]),
    ...places.map((place) => line(place, duration))
  )
}

const summary = ({ duration, flights, received }: Conversation): string => {
  const lost = flights.filter((flight) => flight.arrived === undefined).length
  return `${received} octets in ${
    duration.toFixed(3)
  } ms of virtual time: ${flights.length} packets, ${lost} of them lost`
}

const form = find("form", HTMLFormElement)
const output = find("output", HTMLOutputElement)
const svg = find("svg", SVGSVGElement)

const value = (name: string): number => Number(new FormData(form).get(name))

const settings = (): Settings => ({
  seed: value("seed"),
  latency: value("latency"),
  loss: value("loss") / 100,
  octets: value("octets")
})

const talk = Effect.suspend(() => converse(settings())).pipe(
  Effect.map((conversation) => {
    draw(svg, conversation)
    output.value = summary(conversation)
  }),
  Effect.catchCause((cause) => Effect.sync(() => void (output.value = `It failed: ${Cause.pretty(cause)}`)))
)

form.addEventListener("submit", (event) => {
  event.preventDefault()
  void Effect.runPromise(talk)
})
void Effect.runPromise(talk)
