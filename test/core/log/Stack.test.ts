import { assert, it } from "@effect/vitest"
import { Log, NetworkStack, Routing } from "@strata/core"
import { Trace } from "@strata/core/Trace"
import { Effect, Layer, Result } from "effect"
import { IpInterface } from "effect/net"
import { attach } from "../../support/link.ts"

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g) ?? [], (octet) => Number.parseInt(octet, 16))

const ARP_REQUEST = `ffffffffffff 0e4eafbc64c6 0806
  0001 0800 06 04 0001 0e4eafbc64c6 c0000201 000000000000 c0000202`
const ECHO = `00005e005301 0e4eafbc64c6 0800
  4500 0054 a042 4000 40 01 1663 c0000201 c0000202
  08 00 b692 0037 0001 ${"00".repeat(54)} 4135`

/** Without the time of day, and without the identification this host chose for its packet. */
const comparable = (text: string) =>
  text.replace(/^\d\d:\d\d:\d\d\.\d{3} /, "").replace(
    /( id: )\d+(\n {5}offset: 0x0000[^]* sum: )(0x[0-9a-f]{4}) \(\3\)/,
    "$1<chosen>$2<valid>"
  )

const EXPECTED = `\
[D] ethernet.input: dev=tap0, type=ARP(0x0806), len=42
        src: 0e:4e:af:bc:64:c6
        dst: ff:ff:ff:ff:ff:ff
       type: 0x0806 (ARP)
[D] arp.input: dev=tap0, opcode=Request(0x0001), len=28
        hrd: 0x0001
        pro: 0x0800
        hln: 6
        pln: 4
         op: 0x0001 (Request)
        sha: 0e:4e:af:bc:64:c6
        spa: 192.0.2.1
        tha: 00:00:00:00:00:00
        tpa: 192.0.2.2
[D] arp.insert: INSERT: pa=192.0.2.1, ha=0e:4e:af:bc:64:c6, state=stale, dev=tap0
[D] arp.reply: dev=tap0, opcode=Reply(0x0002), len=28
        hrd: 0x0001
        pro: 0x0800
        hln: 6
        pln: 4
         op: 0x0002 (Reply)
        sha: 00:00:5e:00:53:01
        spa: 192.0.2.2
        tha: 0e:4e:af:bc:64:c6
        tpa: 192.0.2.1
[D] ethernet.output: dev=tap0, type=ARP(0x0806), len=60
        src: 00:00:5e:00:53:01
        dst: 0e:4e:af:bc:64:c6
       type: 0x0806 (ARP)
[D] ethernet.input: dev=tap0, type=IP(0x0800), len=98
        src: 0e:4e:af:bc:64:c6
        dst: 00:00:5e:00:53:01
       type: 0x0800 (IP)
[D] ipv4.input: dev=tap0, iface=192.0.2.2, protocol=ICMP(0x01), len=84
        vhl: 0x45 [v: 4, hl: 5 (20)]
        tos: 0x00
      total: 84 (payload: 64)
         id: 41026
     offset: 0x4000 [flags=2, offset=0]
        ttl: 64
   protocol: 1 (ICMP)
        sum: 0x1663 (0x1663)
        src: 192.0.2.1
        dst: 192.0.2.2
[D] icmp.input: 192.0.2.1 => 192.0.2.2, type=Echo(8), len=64, iface=192.0.2.2
       type: 8 (Echo)
       code: 0
        sum: 0xb692 (0xb692)
         id: 55
        seq: 1
[D] icmp.output: 192.0.2.2 => 192.0.2.1, type=EchoReply(0), len=64
       type: 0 (EchoReply)
       code: 0
        sum: 0xbe92 (0xbe92)
         id: 55
        seq: 1
[D] ipv4.output: dev=tap0, iface=192.0.2.2, protocol=ICMP(0x01), len=84
        vhl: 0x45 [v: 4, hl: 5 (20)]
        tos: 0x00
      total: 84 (payload: 64)
         id: <chosen>
     offset: 0x0000 [flags=0, offset=0]
        ttl: 64
   protocol: 1 (ICMP)
        sum: <valid>
        src: 192.0.2.2
        dst: 192.0.2.1
[D] ethernet.output: dev=tap0, type=IP(0x0800), len=98
        src: 00:00:5e:00:53:01
        dst: 0e:4e:af:bc:64:c6
       type: 0x0800 (IP)`

it.effect("a whole stack logs a ping as a newcomer wants to read it", () =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    const routing = yield* Routing
    const link = yield* attach({ name: "tap0", hardware: 0x0000_5e00_5301 })
    yield* routing.addAddress("tap0", Result.getOrThrow(IpInterface.ipv4FromString("192.0.2.2/24")))
    Log.listen(yield* Trace, { level: "debug", write: (text) => texts.push(comparable(text)) })
    link.receive(bytes(ARP_REQUEST))
    link.receive(bytes(ECHO))
    assert.deepStrictEqual(texts.join("\n").split("\n"), EXPECTED.split("\n"))
  }).pipe(Effect.provide(Layer.fresh(NetworkStack.layer))))
