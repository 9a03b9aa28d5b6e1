/** The median of some numbers. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value that a fraction of the numbers does not exceed (nearest rank). */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const rank = Math.max(0, Math.ceil(sorted.length * fraction) - 1);
  return sorted[rank] ?? Number.NaN;
}
