const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** A size with at most three digits and its unit: `20.0 MiB`. */
export function formatBytes(byteCount: number): string {
  let value = byteCount;
  let unit = 0;
  // 999.5 would be shown with four digits.
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${byteUnits[unit]}`;
}

/** Bytes per second; a dash where nobody knows. */
export function formatRate(bytesPerSecond: number): string {
  return Number.isFinite(bytesPerSecond) ? `${formatBytes(bytesPerSecond)}/s` : '–';
}

/** A whole number with its thousands apart. */
export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** A time span in its two largest units: `2 h 5 min`. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400)
    return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

/** The time of day in the reader's zone: `15:04:05`. */
export function formatTime(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8);
}

/** A count with its noun: `1 chunk`, `2 chunks`. */
export function formatNumberOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
