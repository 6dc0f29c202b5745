import { describe, expect, it } from "@effect/vitest"
import * as News from "@strata/core/tcp/News"
import * as RateSampling from "@strata/core/tcp/RateSampling"
import * as Transmissions from "@strata/core/tcp/Transmissions"

const news = (mark: RateSampling.DeliveryState, sentAt: number, octets: number): News.News => {
  const flight = Transmissions.sent(Transmissions.empty(0), 0, octets, sentAt, RateSampling.markOf(mark))
  const into = News.none(flight, 0, sentAt + 10, 1, undefined)
  Transmissions.acknowledge(flight, octets, into)
  return into
}
/** `octets` are sent, and delivered 10 ms later. */
const flight = (state: RateSampling.DeliveryState, octets: number, isLimited: boolean, now: number) => {
  const mark = { ...RateSampling.sending(state, 0, now), limitedUntil: isLimited ? state.delivered + octets : 0 }
  return RateSampling.delivered(mark, news(mark, now, octets), 10, now + 10)
}

describe("the rate that is remembered", () => {
  it("is the last one that the network set, or a greater one of the program's", () => {
    const first = flight(RateSampling.initial, 1000, false, 0)
    expect(first).toMatchObject({ rate: 100, isRateLimited: false })
    const less = flight(first, 500, true, 100)
    expect(less).toMatchObject({ rate: 100, isRateLimited: false })
    const more = flight(less, 2000, true, 200)
    expect(more).toMatchObject({ rate: 200, isRateLimited: true })
    expect(flight(more, 500, false, 300)).toMatchObject({ rate: 50, isRateLimited: false })
  })

  it("is not taken from what came faster than the path can be", () => {
    const mark = RateSampling.sending(RateSampling.initial, 0, 0)
    expect(RateSampling.delivered(mark, news(mark, 0, 1000), 11, 10).rate).toBe(0)
  })
})
