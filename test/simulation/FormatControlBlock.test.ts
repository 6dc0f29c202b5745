import { expect, it } from "@effect/vitest"
import { format } from "@strata/simulation/FormatControlBlock"
import { established, listening } from "../support/tcpScript.ts"

it("says where a connection and its repair stand", () => {
  established()
    .looks((tcb) => {
      expect(format(tcb)).toBe(
        "ESTABLISHED [SND UNA 1, NXT 1, MAX 1, WND 65535] [RCV NXT 1, WND 65535, 0 of 65535 unread] " +
          "[open, CWND 14600, 0 in flight, RTO 200 ms] [no timer]"
      )
    })
    .writes(5 * 1460)
    .sendsMany(5)
    .looks((tcb) => {
      expect(format(tcb)).toBe(
        "ESTABLISHED [SND UNA 1, NXT 7301, MAX 7301, WND 65535] [RCV NXT 1, WND 65535, 0 of 65535 unread] " +
          "[open, CWND 14600, 7300 in flight, RTO 200 ms] [retransmit]"
      )
    })
    .passes(250)
    .sendsMany(1)
    .looks((tcb) => {
      expect(format(tcb)).toContain("[loss, CWND 1460, 1460 in flight, 5840 lost, attempt 1, RTO 400 ms]")
    })
})

it("says what was selectively acknowledged, and that a probe is out", () => {
  listening({ settings: { selectiveAcknowledgement: true } })
    .receives("<SEQ=300><SACKOK=1><CTL=SYN>")
    .sends("<SEQ=100><ACK=301><CTL=SYN,ACK>")
    .receives("<SEQ=301><ACK=101><CTL=ACK>")
    .writes(3 * 1460)
    .sendsMany(3)
    .passes(100)
    .sendsMany(1)
    .looks((tcb) => {
      expect(format(tcb)).toContain("[open, CWND 14600, 4380 in flight, probe sent, RTO 200 ms] [retransmit]")
    })
    .receives("<SEQ=301><ACK=101><SACK=1561-3021><CTL=ACK>")
    .sendsMany(1)
    .looks((tcb) => {
      expect(format(tcb)).toContain("2920 in flight, 1460 sacked")
    })
})
