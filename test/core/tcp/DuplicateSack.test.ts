import { assert, describe, it } from "@effect/vitest"
import { listening, type ScriptOptions, type TcpScript } from "../../support/tcpScript.ts"

/** ESTABLISHED by a passive OPEN, with SACK: RCV.NXT is 301. */
const selective = ({ settings, ...options }: ScriptOptions = {}): TcpScript =>
  listening({ ...options, settings: { selectiveAcknowledgement: true, ...settings } })
    .receives("<SEQ=300><SACKOK=1><CTL=SYN>").sends("<SEQ=100><ACK=301><SACKOK=1><CTL=SYN,ACK>")
    .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")

/** With 301 to 401 in order, acknowledged. */
const begun = (options: ScriptOptions = {}): TcpScript => {
  const script = selective(options).receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").passes(40)
  assert.strictEqual(script.passed(), 1)
  return script
}

/** Five segments with gaps before them. */
const withGaps = (script: TcpScript, stamp: string): TcpScript => {
  for (const seq of [501, 701, 901, 1101]) {
    script.receives(`<SEQ=${seq}><ACK=101><DATA=100>${stamp}<CTL=ACK>`).passed()
  }
  return script.receives(`<SEQ=1301><ACK=101><DATA=100>${stamp}<CTL=ACK>`)
}

const reported = (count: number) => ({ counts }: TcpScript["tcb"]) =>
  assert.strictEqual(counts.duplicatesReceived, count)

describe("SACK (RFC 2018 §4)", () => {
  it("the block that holds what came last is first, those that grew before it follow", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .receives("<SEQ=701><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=701-801,501-601><CTL=ACK>")
      .receives("<SEQ=901><ACK=101><DATA=100><CTL=ACK>")
      .sends("<SEQ=101><ACK=401><SACK=901-1001,701-801,501-601><CTL=ACK>")
      .receives("<SEQ=601><ACK=101><DATA=50><CTL=ACK>")
      .sends("<SEQ=101><ACK=401><SACK=501-651,901-1001,701-801><CTL=ACK>")
      .receives("<SEQ=651><ACK=101><DATA=50><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-801,901-1001><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=801><SACK=901-1001><CTL=ACK>")
      .receives("<SEQ=801><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=1001><CTL=ACK>")
  })

  it("four blocks fit, three beside timestamps: the oldest are left out", () => {
    withGaps(begun(), "").sends("<SEQ=101><ACK=401><SACK=1301-1401,1101-1201,901-1001,701-801><CTL=ACK>")
    const stamped = listening({ settings: { selectiveAcknowledgement: true, timestamps: true } })
      .receives("<SEQ=300><SACKOK=1><TS=9/0><CTL=SYN>").sends("<SEQ=100><ACK=301><SACKOK=1><TS=0/9><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><TS=9/0><CTL=ACK>").is("ESTABLISHED")
    withGaps(stamped, "<TS=9/0>").sends("<SEQ=101><ACK=301><SACK=1301-1401,1101-1201,901-1001><CTL=ACK>")
  })

  it("is on what the program writes as well, where it fits", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .writes(100).sends("<SEQ=101><ACK=401><DATA=100><SACK=501-601><CTL=ACK>")
  })

  it("what was reported is kept: there is no reneging (§8)", () => {
    const script = begun({ capacity: 2000 })
    script.receives("<SEQ=1401><ACK=101><DATA=500><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=1401-1901><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=900><CTL=ACK>").sends("<SEQ=101><ACK=1301><SACK=1401-1901><CTL=ACK>")
      .receives("<SEQ=1301><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=1901><CTL=ACK>").holds(1600)
  })

  it.each([
    { what: "we do not offer it", ours: false, option: "<SACKOK=1>" },
    { what: "the peer does not", ours: true, option: "" }
  ])("is not used when $what", ({ option, ours }) => {
    const script = listening({ settings: { selectiveAcknowledgement: ours } }).receives(`<SEQ=300>${option}<CTL=SYN>`)
      .sends("<SEQ=100><ACK=301><SACKOK=0><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><CTL=ACK>").is("ESTABLISHED")
    script.receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>")
      .receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=301><CTL=ACK>").looks(reported(0))
  })
})

describe("D-SACK (RFC 2883 §4)", () => {
  it("a segment that came before is reported, once", () => {
    begun().receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=301-401><CTL=ACK>")
      .looks(reported(1))
      .receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").passes(40).sends("<SEQ=101><ACK=501><CTL=ACK>")
  })

  it("the part that came before is reported, and the rest taken", () => {
    begun().receives("<SEQ=351><ACK=101><DATA=100><CTL=ACK>").keeps({ skip: 50, length: 50, offset: 0 })
      .sends("<SEQ=101><ACK=451><SACK=351-401><CTL=ACK>")
  })

  it("above the acknowledgement, the block it belongs to follows (§4.1.3)", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .receives("<SEQ=601><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-701><CTL=ACK>")
      .receives("<SEQ=601><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=601-701,501-701><CTL=ACK>")
      .receives("<SEQ=901><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=901-1001,501-701><CTL=ACK>")
      .receives("<SEQ=501><ACK=101><DATA=50><CTL=ACK>")
      .sends("<SEQ=101><ACK=401><SACK=501-551,501-701,901-1001><CTL=ACK>")
  })

  it("below it, the other blocks follow (§4.1.1)", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=301-401,501-601><CTL=ACK>")
  })

  it("of a segment that lies across a block, the part in it is reported (§4.2)", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .receives("<SEQ=551><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=551-601,501-651><CTL=ACK>")
      .receives("<SEQ=451><ACK=101><DATA=300><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-651,451-751><CTL=ACK>")
  })

  it("of two parts that came before, the first is reported (§4.2.3)", () => {
    begun().receives("<SEQ=501><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601><CTL=ACK>")
      .receives("<SEQ=701><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=701-801,501-601><CTL=ACK>")
      .receives("<SEQ=501><ACK=101><DATA=300><CTL=ACK>").sends("<SEQ=101><ACK=401><SACK=501-601,501-801><CTL=ACK>")
  })

  it("each of two segments has a report of its own", () => {
    begun().receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").passes(40).sends("<SEQ=101><ACK=501><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=501><SACK=301-401><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=501><SACK=401-501><CTL=ACK>")
      .looks(reported(2))
  })

  it("a FIN that came before is a part like any other", () => {
    begun().receives("<SEQ=401><ACK=101><DATA=10><CTL=FIN,ACK>").is("CLOSE-WAIT").sends("<SEQ=101><ACK=412><CTL=ACK>")
      .receives("<SEQ=401><ACK=101><DATA=10><CTL=FIN,ACK>").sends("<SEQ=101><ACK=412><SACK=401-412><CTL=ACK>")
  })

  it("nothing is reported of a segment without text, or beyond the window", () => {
    begun({ capacity: 2000 }).receives("<SEQ=400><ACK=101><CTL=ACK>").sends("<SEQ=101><ACK=401><CTL=ACK>")
      .receives("<SEQ=9000><ACK=101><DATA=100><CTL=ACK>").sends("<SEQ=101><ACK=401><CTL=ACK>").looks(reported(0))
  })

  it("PAWS drops a segment of the past, and reports it all the same", () => {
    listening({ settings: { selectiveAcknowledgement: true, timestamps: true } })
      .receives("<SEQ=300><SACKOK=1><TS=1000/0><CTL=SYN>").sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><TS=1010/0><CTL=ACK>").passes(40).sends("<SEQ=101><ACK=401><CTL=ACK>")
      .receives("<SEQ=301><ACK=101><DATA=100><TS=1001/0><CTL=ACK>")
      .sends("<SEQ=101><ACK=401><SACK=301-401><TS=40/1010><CTL=ACK>")
  })

  it("can be switched off", () => {
    begun({ settings: { duplicateSack: false } }).receives("<SEQ=301><ACK=101><DATA=100><CTL=ACK>")
      .sends("<SEQ=101><ACK=401><CTL=ACK>").looks(reported(0))
  })
})
