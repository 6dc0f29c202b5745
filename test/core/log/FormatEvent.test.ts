import { assert, describe, it } from "@effect/vitest"
import { formatEvent, type FormatOptions, levelOf } from "@strata/core/log/Log"
import type { TraceDetail } from "@strata/core/Trace"
import { Schema } from "effect"

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g) ?? [], (octet) => Number.parseInt(octet, 16))

const TIME = new Date(2024, 0, 31, 18, 43, 57, 931).getTime()

const lines = (detail: TraceDetail, options?: FormatOptions) => formatEvent({ time: TIME, detail }, options).split("\n")

/** The dump of a packet without its head. */
const fields = (layer: "ethernet" | "arp" | "ipv4" | "icmp" | "igmp" | "udp" | "tcp", hex: string) =>
  lines({ _tag: "Packet", layer, direction: "in", bytes: bytes(hex) }).slice(1)

const network = { source: 0xc000_0201, destination: 0xc000_0202 }
const back = { source: 0xc000_0202, destination: 0xc000_0201 }

const ARP_REQUEST = "0001 0800 06 04 0001 0e4eafbc64c6 c0000201 000000000000 c0000202"
const ARP_REPLY = "0001 0800 06 04 0002 00005e005301 c0000202 0e4eafbc64c6 c0000201"
const IP_HEADER = "45 00 0054 a042 4000 40 01 1663 c0000201 c0000202"
const IP_ANSWER = "45 00 0054 0080 0000 ff 01 3725 c0000202 c0000201"

/** An echo of 64 octets whose last word makes the checksum come out as in the well-known exchange. */
const echo = (type: string, sum: string) => `${type} 00 ${sum} 0037 0001 ${"00".repeat(54)} 4135`

const shows = (what: string, detail: TraceDetail, expected: ReadonlyArray<string>) =>
  it(`shows ${what}`, () => assert.deepStrictEqual(lines(detail), expected))

describe("the log of a ping, line for line", () => {
  shows("an ARP request in its frame", {
    _tag: "Packet",
    layer: "ethernet",
    direction: "in",
    device: "tap0",
    bytes: bytes(`ffffffffffff 0e4eafbc64c6 0806 ${ARP_REQUEST}`)
  }, [
    "18:43:57.931 [D] ethernet.input: dev=tap0, type=ARP(0x0806), len=42",
    "        src: 0e:4e:af:bc:64:c6",
    "        dst: ff:ff:ff:ff:ff:ff",
    "       type: 0x0806 (ARP)"
  ])

  shows(
    "the ARP request",
    { _tag: "Packet", layer: "arp", direction: "in", device: "tap0", bytes: bytes(ARP_REQUEST) },
    [
      "18:43:57.931 [D] arp.input: dev=tap0, opcode=Request(0x0001), len=28",
      "        hrd: 0x0001",
      "        pro: 0x0800",
      "        hln: 6",
      "        pln: 4",
      "         op: 0x0001 (Request)",
      "        sha: 0e:4e:af:bc:64:c6",
      "        spa: 192.0.2.1",
      "        tha: 00:00:00:00:00:00",
      "        tpa: 192.0.2.2"
    ]
  )

  shows("the neighbour that is learned", {
    _tag: "NeighbourInserted",
    device: "tap0",
    protocolAddress: 0xc000_0201,
    hardwareAddress: 0x0e4e_afbc_64c6,
    state: "stale"
  }, ["18:43:57.931 [D] arp.insert: INSERT: pa=192.0.2.1, ha=0e:4e:af:bc:64:c6, state=stale, dev=tap0"])

  shows("the ARP reply", { _tag: "Packet", layer: "arp", direction: "out", device: "tap0", bytes: bytes(ARP_REPLY) }, [
    "18:43:57.931 [D] arp.reply: dev=tap0, opcode=Reply(0x0002), len=28",
    "        hrd: 0x0001",
    "        pro: 0x0800",
    "        hln: 6",
    "        pln: 4",
    "         op: 0x0002 (Reply)",
    "        sha: 00:00:5e:00:53:01",
    "        spa: 192.0.2.2",
    "        tha: 0e:4e:af:bc:64:c6",
    "        tpa: 192.0.2.1"
  ])

  shows("its frame, padded", {
    _tag: "Packet",
    layer: "ethernet",
    direction: "out",
    device: "tap0",
    bytes: bytes(`0e4eafbc64c6 00005e005301 0806 ${ARP_REPLY} ${"00".repeat(18)}`)
  }, [
    "18:43:57.931 [D] ethernet.output: dev=tap0, type=ARP(0x0806), len=60",
    "        src: 00:00:5e:00:53:01",
    "        dst: 0e:4e:af:bc:64:c6",
    "       type: 0x0806 (ARP)"
  ])

  shows("the packet of the echo", {
    _tag: "Packet",
    layer: "ipv4",
    direction: "in",
    device: "tap0",
    interface: 0xc000_0202,
    bytes: bytes(IP_HEADER + echo("08", "b692"))
  }, [
    "18:43:57.931 [D] ipv4.input: dev=tap0, iface=192.0.2.2, protocol=ICMP(0x01), len=84",
    "        vhl: 0x45 [v: 4, hl: 5 (20)]",
    "        tos: 0x00",
    "      total: 84 (payload: 64)",
    "         id: 41026",
    "     offset: 0x4000 [flags=2, offset=0]",
    "        ttl: 64",
    "   protocol: 1 (ICMP)",
    "        sum: 0x1663 (0x1663)",
    "        src: 192.0.2.1",
    "        dst: 192.0.2.2"
  ])

  shows("the echo", {
    _tag: "Packet",
    layer: "icmp",
    direction: "in",
    device: "tap0",
    network,
    interface: 0xc000_0202,
    bytes: bytes(echo("08", "b692"))
  }, [
    "18:43:57.931 [D] icmp.input: 192.0.2.1 => 192.0.2.2, type=Echo(8), len=64, iface=192.0.2.2",
    "       type: 8 (Echo)",
    "       code: 0",
    "        sum: 0xb692 (0xb692)",
    "         id: 55",
    "        seq: 1"
  ])

  shows(
    "its reply",
    { _tag: "Packet", layer: "icmp", direction: "out", network: back, bytes: bytes(echo("00", "be92")) },
    [
      "18:43:57.931 [D] icmp.output: 192.0.2.2 => 192.0.2.1, type=EchoReply(0), len=64",
      "       type: 0 (EchoReply)",
      "       code: 0",
      "        sum: 0xbe92 (0xbe92)",
      "         id: 55",
      "        seq: 1"
    ]
  )

  shows("the packet of the reply", {
    _tag: "Packet",
    layer: "ipv4",
    direction: "out",
    device: "tap0",
    interface: 0xc000_0202,
    bytes: bytes(IP_ANSWER + echo("00", "be92"))
  }, [
    "18:43:57.931 [D] ipv4.output: dev=tap0, iface=192.0.2.2, protocol=ICMP(0x01), len=84",
    "        vhl: 0x45 [v: 4, hl: 5 (20)]",
    "        tos: 0x00",
    "      total: 84 (payload: 64)",
    "         id: 128",
    "     offset: 0x0000 [flags=0, offset=0]",
    "        ttl: 255",
    "   protocol: 1 (ICMP)",
    "        sum: 0x3725 (0x3725)",
    "        src: 192.0.2.2",
    "        dst: 192.0.2.1"
  ])
})

const flagsLine = (flags: string) =>
  fields("tcp", `c000 0007 00000000 00000000 50 ${flags} 0000 0000 0000`).find((line) => line.includes("flg"))

const icmpBody = (hex: string) => fields("icmp", hex).filter((line) => !/ (code|sum): /.test(line))

describe("a dump", () => {
  shows("IGMP by its type, and how many records or which group", {
    _tag: "Packet",
    layer: "igmp",
    direction: "out",
    network: { source: 0xc000_0202, destination: 0xe000_0016 },
    bytes: bytes("22 00 e8f9 0000 0001 04 00 0000 ef010203")
  }, [
    "18:43:57.931 [D] igmp.output: 192.0.2.2 => 224.0.0.22, type=ReportV3(0x22), len=16",
    "       type: 0x22 (ReportV3)",
    "       code: 0",
    "        sum: 0xe8f9 (0xe8f9)",
    "    records: 1"
  ])

  it("shows the group of an IGMP query", () => {
    assert.deepStrictEqual(fields("igmp", "11 64 fd96 ef010203"), [
      "       type: 0x11 (Query)",
      "       code: 100",
      "        sum: 0xfd96 (0xfd96)",
      "      group: 239.1.2.3"
    ])
  })

  it("shows which checksum a wrong one should have been", () => {
    const wrong = IP_HEADER.replace("1663", "1664") + "00".repeat(64)
    assert.include(fields("ipv4", wrong), "        sum: 0x1664 (0x1663)")
    assert.include(fields("icmp", "08 00 0000 0037 0001"), "        sum: 0x0000 (0xf7c7)")
  })

  it("shows options, fragments and padding for what they are", () => {
    const shown = fields("ipv4", `46 b8 001c 0001 20b9 40 63 0000 c0000201 c0000202 01010101 ${"00".repeat(22)}`)
    assert.deepStrictEqual(shown.slice(0, 7), [
      "        vhl: 0x46 [v: 4, hl: 6 (24)]",
      "        tos: 0xb8",
      "      total: 28 (payload: 4)",
      "         id: 1",
      "     offset: 0x20b9 [flags=1, offset=185]",
      "        ttl: 64",
      "   protocol: 99 (UNKNOWN)"
    ])
  })

  it("shows the ports of UDP", () => {
    const datagram = { _tag: "Packet", layer: "udp", network, bytes: bytes("c000 0007 000c 1234 666f6f0a") } as const
    assert.deepStrictEqual(lines({ ...datagram, direction: "in", device: "tap0" }), [
      "18:43:57.931 [D] udp.input: 192.0.2.1:49152 => 192.0.2.2:7, len=12 (payload=4)",
      "        src: 49152",
      "        dst: 7",
      "        len: 12",
      "        sum: 0x1234"
    ])
    assert.isTrue(lines({ ...datagram, direction: "out" })[0]!.includes("udp.output: "))
  })

  it("shows a segment of TCP", () => {
    const segment = bytes("c000 0007 deadbeef 00000000 60 02 faf0 abcd 0000 020405b4")
    assert.deepStrictEqual(lines({ _tag: "Packet", layer: "tcp", direction: "in", network, bytes: segment }), [
      "18:43:57.931 [D] tcp.input: 192.0.2.1:49152 => 192.0.2.2:7, len=24 (payload=0)",
      "        src: 49152",
      "        dst: 7",
      "        seq: 3735928559",
      "        ack: 0",
      "        off: 0x60 (24)",
      "        flg: 0x02 (------S-)",
      "        wnd: 64240",
      "        sum: 0xabcd",
      "         up: 0"
    ])
  })

  it("shows each control bit of TCP by its initial", () => {
    assert.strictEqual(flagsLine("00"), "        flg: 0x00 (--------)")
    assert.strictEqual(flagsLine("3f"), "        flg: 0x3f (--UAPRSF)")
    assert.strictEqual(flagsLine("12"), "        flg: 0x12 (---A--S-)")
    assert.strictEqual(flagsLine("14"), "        flg: 0x14 (---A-R--)")
    assert.strictEqual(flagsLine("19"), "        flg: 0x19 (---AP--F)")
    assert.strictEqual(flagsLine("c2"), "        flg: 0xc2 (CE----S-)")
  })

  it("shows the values that go with each type of ICMP", () => {
    assert.deepStrictEqual(icmpBody("03 03 0000 00000000"), [
      "       type: 3 (DestinationUnreachable)",
      "     unused: 0x00000000"
    ])
    assert.deepStrictEqual(icmpBody("03 04 0000 00000514"), [
      "       type: 3 (DestinationUnreachable)",
      "        mtu: 1300"
    ])
    assert.deepStrictEqual(icmpBody("04 00 0000 00000000"), [
      "       type: 4 (SourceQuench)",
      "     unused: 0x00000000"
    ])
    assert.deepStrictEqual(icmpBody("05 01 0000 c00002fe"), ["       type: 5 (Redirect)", "    gateway: 192.0.2.254"])
    assert.deepStrictEqual(icmpBody("0b 00 0000 00000000"), [
      "       type: 11 (TimeExceeded)",
      "     unused: 0x00000000"
    ])
    assert.deepStrictEqual(icmpBody("0c 00 0000 14000000"), ["       type: 12 (ParameterProblem)", "    pointer: 20"])
    assert.deepStrictEqual(icmpBody("0d 00 0000 0001 0002 00000003 00000000 00000000"), [
      "       type: 13 (Timestamp)",
      "         id: 1",
      "        seq: 2",
      "       orig: 3",
      "       recv: 0",
      "       xmit: 0"
    ])
    assert.deepStrictEqual(icmpBody("0f 00 0000 0001 0002"), [
      "       type: 15 (InformationRequest)",
      "         id: 1",
      "        seq: 2"
    ])
    assert.deepStrictEqual(icmpBody("28 00 0000 0001 0002"), ["       type: 40 (UNKNOWN)", "     unused: 0x00010002"])
  })

  const layers = ["ethernet", "arp", "ipv4", "icmp", "udp", "tcp"] as const
  it.prop("of arbitrary octets never throws, and has no label that is out of line", [
    Schema.Literals(layers),
    Schema.Uint8Array,
    Schema.Literals(["in", "out"])
  ], ([layer, octets, direction]) => {
    const [head, ...rest] = lines({ _tag: "Packet", layer, direction, bytes: octets }, { hexdump: true })
    assert.match(head!, /^18:43:57\.931 \[D\] [a-z0-9]+\.[a-z]+: /)
    for (const line of rest) assert.match(line, /^(?=.{11}: ) *[a-z]+: .+$|^[0-9a-f]{8} {2}/)
  })

  it("says that octets are truncated when they hold no header", () => {
    assert.deepStrictEqual(lines({ _tag: "Packet", layer: "tcp", direction: "in", bytes: new Uint8Array(19) }), [
      "18:43:57.931 [D] tcp.input: truncated, len=19"
    ])
  })
})

describe("the hexdump", () => {
  it("shows what the header is followed by", () => {
    const payload = Array.from({ length: 21 }, (_, index) => (index + 0x1d).toString(16).padStart(2, "0")).join("")
    const shown = lines({
      _tag: "Packet",
      layer: "udp",
      direction: "in",
      network,
      bytes: bytes(`c000 0007 001d 0000 ${payload}`)
    }, { hexdump: true })
    assert.deepStrictEqual(shown.slice(5), [
      "00000000  1d 1e 1f 20 21 22 23 24  25 26 27 28 29 2a 2b 2c  |... !\"#$%&'()*+,|",
      "00000010  2d 2e 2f 30 31                                    |-./01|"
    ])
    assert.strictEqual(
      lines({ _tag: "Packet", layer: "udp", direction: "in", bytes: bytes(`c000 0007 001d 0000 00`) })
        .length,
      5
    )
  })

  it("shows each payload once: at the layer that knows it", () => {
    const dumped = (layer: "ethernet" | "arp" | "ipv4" | "tcp", hex: string) =>
      lines({ _tag: "Packet", layer, direction: "in", bytes: bytes(hex) }, { hexdump: true })
        .filter((line) => /^[0-9a-f]{8} {2}/.test(line)).map((line) => line.split("  ")[1])
    assert.deepStrictEqual(dumped("ethernet", `ffffffffffff 0e4eafbc64c6 0800 ${IP_HEADER}`), [])
    assert.deepStrictEqual(dumped("ethernet", "ffffffffffff 0e4eafbc64c6 88b5 0102"), ["01 02"])
    assert.deepStrictEqual(dumped("arp", ARP_REQUEST), [])
    assert.deepStrictEqual(dumped("ipv4", `${IP_HEADER} 0102`), [])
    assert.deepStrictEqual(dumped("ipv4", `${IP_HEADER.replace("4000", "2000")} 0102`), ["01 02"])
    assert.deepStrictEqual(dumped("ipv4", `${IP_HEADER.replace("40 01", "40 63")} 0102`), ["01 02"])
    assert.deepStrictEqual(dumped("tcp", "c000 0007 00000000 00000000 60 10 0000 0000 0000 01010101 0102"), ["01 02"])
    assert.deepStrictEqual(
      lines({ _tag: "Dropped", layer: "ipv4", reason: "badChecksum", bytes: bytes("0102") }, { hexdump: true }).slice(
        1
      ),
      ["00000000  01 02                                             |..|"]
    )
  })
})

describe("an event", () => {
  const device = { device: "tap0", type: "ethernet" }
  const port = { protocol: "tcp", address: 0, port: 7 } as const
  const route = { network: 0, prefixLength: 0, gateway: 0xc000_0201, source: 0xc000_0202, device: "tap0" }
  const own = { device: "tap0", address: 0xc000_0202, prefixLength: 24 }
  const neighbour = { device: "tap0", protocolAddress: 0xc000_0201, hardwareAddress: 0, state: "failed" }
  const cases: ReadonlyArray<readonly [TraceDetail, string]> = [
    [{ _tag: "DeviceAttached", ...device }, "[D] devices.attach: registered, dev=tap0, type=ethernet"],
    [{ _tag: "DeviceOpened", ...device }, "[I] devices.open: dev=tap0, state=up"],
    [{ _tag: "DeviceClosed", ...device }, "[I] devices.close: dev=tap0, state=down"],
    [{ _tag: "DeviceDetached", ...device }, "[D] devices.detach: removed, dev=tap0, type=ethernet"],
    [
      { _tag: "ProtocolRegistered", layer: "ethernet", number: 0x0806 },
      "[D] ethernet.handle: registered, type=ARP(0x0806)"
    ],
    [{ _tag: "ProtocolRegistered", layer: "ipv4", number: 17 }, "[D] ipv4.handle: registered, type=UDP(0x11)"],
    [
      { _tag: "AddressAdded", ...own },
      "[I] routing.addAddress: registered: dev=tap0, unicast=192.0.2.2, netmask=255.255.255.0, broadcast=192.0.2.255"
    ],
    [
      { _tag: "AddressRemoved", ...own },
      "[I] routing.removeAddress: removed: dev=tap0, unicast=192.0.2.2, netmask=255.255.255.0, broadcast=192.0.2.255"
    ],
    [
      { _tag: "RouteAdded", ...route },
      "[I] routing.addRoute: network=0.0.0.0, netmask=0.0.0.0, nexthop=192.0.2.1, iface=192.0.2.2 dev=tap0"
    ],
    [
      { _tag: "RouteRemoved", network: 0xc000_0200, prefixLength: 24, gateway: 0, device: "tap0" },
      "[I] routing.removeRoute: network=192.0.2.0, netmask=255.255.255.0, nexthop=0.0.0.0, dev=tap0"
    ],
    [
      { _tag: "NeighbourUpdated", ...neighbour },
      "[D] arp.update: UPDATE: pa=192.0.2.1, ha=00:00:00:00:00:00, state=failed, dev=tap0"
    ],
    [
      { _tag: "NeighbourDeleted", ...neighbour },
      "[D] arp.delete: DELETE: pa=192.0.2.1, ha=00:00:00:00:00:00, state=failed, dev=tap0"
    ],
    [
      { _tag: "QueuePushed", queue: "arp 192.0.2.1", count: 1, length: 84, device: "tap0" },
      "[D] queue.push: queue pushed (num:1), dev=tap0, queue=arp 192.0.2.1, len=84"
    ],
    [
      { _tag: "QueuePopped", queue: "udp 192.0.2.2:7", count: 0, length: 12 },
      "[D] queue.pop: queue popped (num:0), queue=udp 192.0.2.2:7, len=12"
    ],
    [{ _tag: "PortBound", ...port }, "[I] tcp.bind: success: addr=0.0.0.0, port=7"],
    [{ _tag: "PortReleased", ...port }, "[I] tcp.close: released: addr=0.0.0.0, port=7"],
    [{ _tag: "PortBound", ...port, protocol: "udp", port: 49_152 }, "[D] udp.bind: success: addr=0.0.0.0, port=49152"],
    [{
      _tag: "TcpState",
      local: { address: 0xc000_0202, port: 7 },
      remote: { address: 0xc000_0201, port: 49_152 },
      from: "SYN-RECEIVED",
      to: "ESTABLISHED"
    }, "[D] tcp.state: 192.0.2.2:7 <=> 192.0.2.1:49152, SYN-RECEIVED => ESTABLISHED"],
    [
      { _tag: "Dropped", layer: "ipv4", reason: "badChecksum", bytes: new Uint8Array(84) },
      "[D] ipv4.drop: dropped, reason=badChecksum, len=84"
    ],
    [
      { _tag: "Message", level: "warning", stage: "arp.input", text: "address conflict" },
      "[W] arp.input: address conflict"
    ],
    [{ _tag: "Message", level: "error", stage: "tcp.input", text: "broken" }, "[E] tcp.input: broken"]
  ]
  for (const [detail, expected] of cases) {
    it(`${detail._tag} is one line: ${expected}`, () => {
      assert.deepStrictEqual(lines(detail, { hexdump: false }), [`18:43:57.931 ${expected}`])
      assert.strictEqual(levelOf(detail).charAt(0).toUpperCase(), expected.charAt(1))
    })
  }

  it("is told in local time, with its milliseconds", () => {
    const time = new Date(2024, 11, 1, 3, 4, 5, 6).getTime()
    assert.match(formatEvent({ time, detail: { _tag: "DeviceOpened", ...device } }), /^03:04:05\.006 \[I\] /)
  })
})
