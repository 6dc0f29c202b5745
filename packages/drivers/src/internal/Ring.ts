/**
 * Room that is given out in stretches and taken back in the same order.
 *
 * A stretch never wraps around the end. When nothing is in use it starts again at the beginning, which is then still in
 * the cache of the processor.
 */
export class Ring {
  private readonly size: number
  /** Where the oldest stretch in use starts, and where the newest one ends. */
  private first = 0
  private end = 0

  constructor(size: number) {
    this.size = size
  }

  /** Where a stretch of that length would start, or -1 when there is no room. */
  find(length: number): number {
    if (this.end >= this.first) {
      if (this.end + length <= this.size) return this.end
      return length < this.first ? 0 : -1
    }
    return this.end + length < this.first ? this.end : -1
  }

  /** Takes what `find` has found. */
  take(start: number, length: number): void {
    this.end = start + length
  }

  /** Takes back all that is before `first`, the start of the oldest stretch that is still in use. */
  releaseTo(first: number): void {
    this.first = first
  }

  releaseAll(): void {
    this.first = 0
    this.end = 0
  }
}
