/**
 * Token buckets: how many of something in a second, and how many at once.
 *
 * Pure: a bucket is a value, time an argument in milliseconds.
 */
export interface Limit {
  /** Tokens that come back in a second. */
  readonly perSecond: number
  /** The most a bucket holds. */
  readonly burst: number
}

export interface Bucket {
  readonly tokens: number
  /** When it was last looked at. */
  readonly at: number
}

/** A full bucket. */
export const make = (limit: Limit, now: number): Bucket => ({ tokens: limit.burst, at: now })

/** The bucket with what came back since. */
export const refill = (bucket: Bucket, limit: Limit, now: number): Bucket => ({
  tokens: Math.min(limit.burst, bucket.tokens + (now - bucket.at) * limit.perSecond / 1000),
  at: now
})

/** The bucket with one token less, or undefined when there is none to take. Takes from a refilled bucket. */
export const take = (bucket: Bucket): Bucket | undefined =>
  bucket.tokens < 1 ? undefined : { tokens: bucket.tokens - 1, at: bucket.at }
