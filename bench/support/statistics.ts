/** The median of some numbers; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

/** The value that a fraction of the numbers does not exceed (nearest rank). */
export function percentile(values: readonly number[], fraction: number): number {
  const rank = Math.max(0, Math.ceil(values.length * fraction) - 1);
  return ascending(values)[rank] ?? Number.NaN;
}

/** The median with its quartiles, as `0.94 (0.72-1.07)`. */
export function formatRatios(ratios: readonly number[]): string {
  const [low, high] = [percentile(ratios, 0.25), percentile(ratios, 0.75)];
  return `${median(ratios).toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`;
}

/** As typed numbers, which are sorted without a call per comparison. */
function ascending(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}
