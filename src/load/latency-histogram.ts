/**
 * Each power of two is cut into so many buckets of the same width, so a bucket is at most 1/64 of its values wide, and
 * its middle is at most 0.8 % off. Up to 128 us every microsecond has a bucket of its own.
 */
const bucketCountOfPower = 64;
const exactValueMax = 2 * bucketCountOfPower - 1;
const powerShift = Math.log2(bucketCountOfPower);

/** 36 minutes; what takes longer is counted there, and only the maximum tells how long it was. */
const microsecondsMax = 2 ** 31 - 1;
const bucketCount = bucketOf(microsecondsMax) + 1;

/** What a report says of many latencies, in milliseconds; the largest one is exact. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Counts latencies in fixed memory (13 KiB): linear buckets within powers of two, the idea of Gil Tene's HdrHistogram,
 * https://hdrhistogram.org. What a percentile tells is at most 0.8 % off.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(bucketCount);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  record(milliseconds: number): void {
    const bucket = bucketOf(
      Math.min(Math.max(0, Math.floor(milliseconds * 1_000)), microsecondsMax),
    );
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, milliseconds);
  }

  /** Adds what another one has counted. */
  add(other: LatencyHistogram): void {
    for (const [bucket, count] of other.#counts.entries()) {
      this.#counts[bucket] = (this.#counts[bucket] as number) + count;
    }
    this.#count += other.#count;
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
  }

  /** The latency that a fraction of all does not exceed (nearest rank), in milliseconds. `undefined` for none at all. */
  percentile(fraction: number): number | undefined {
    if (this.#count === 0) return undefined;
    let left = Math.max(1, Math.ceil(this.#count * fraction));
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return Math.min(middleOf(bucket) / 1_000, this.#maxMs);
    }
    return this.#maxMs;
  }

  /** `null` for none at all. */
  summary(): LatencySummary | null {
    const [p50, p99] = [this.percentile(0.5), this.percentile(0.99)];
    if (p50 === undefined || p99 === undefined) return null;
    return { count: this.#count, p50: rounded(p50), p99: rounded(p99), max: rounded(this.#maxMs) };
  }
}

function bucketOf(microseconds: number): number {
  if (microseconds <= exactValueMax) return microseconds;
  const shift = 31 - Math.clz32(microseconds) - powerShift;
  return shift * bucketCountOfPower + (microseconds >>> shift);
}

/** The middle of a bucket's values, in microseconds. */
function middleOf(bucket: number): number {
  if (bucket <= exactValueMax) return bucket + 0.5;
  const shift = Math.floor(bucket / bucketCountOfPower) - 1;
  const first = (bucket - shift * bucketCountOfPower) * 2 ** shift;
  return first + 2 ** shift / 2;
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}
