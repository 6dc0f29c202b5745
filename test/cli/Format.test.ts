import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import { offload } from "../../packages/cli/src/Format.ts"

describe("--offload", () => {
  it("is all, nothing, or what is listed", () => {
    assert.deepStrictEqual(offload.read("on"), Option.some(true))
    assert.deepStrictEqual(offload.read("off"), Option.some(false))
    assert.deepStrictEqual(
      offload.read("tcp,checksum"),
      Option.some({ vnet: false, checksum: true, tcp: true, udp: false, thread: false })
    )
    assert.deepStrictEqual(
      offload.read("vnet,checksum,tcp,udp,thread"),
      Option.some({ vnet: true, checksum: true, tcp: true, udp: true, thread: true })
    )
    for (const text of ["", "tcp,", "tcp udp", "TCP", "true"]) assert.deepStrictEqual(offload.read(text), Option.none())
  })
})
