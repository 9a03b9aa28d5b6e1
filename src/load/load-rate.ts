import { formatBytes, parseQuantity } from '../common/quantity.js';
import { ChukchaError } from '../protocol/chukcha-error.js';

/** How much to write: so many bytes a second, or a share of what can be written and read at the most. */
export type LoadRate = { readonly bytesPerSecond: number } | { readonly share: number };

/** Reads `100MiB/s` or `50%`. Throws `invalid_option`. */
export function parseLoadRate(text: string): LoadRate {
  const [, percentText] = /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(text.trim()) ?? [];
  const percent = Number(percentText);
  if (percent > 0 && percent <= 100) return { share: percent / 100 };
  const bytesPerSecond = parseQuantity('bytes', text.trim().replace(/\/s$/, ''));
  if (percentText === undefined && bytesPerSecond !== undefined && bytesPerSecond > 0) {
    return { bytesPerSecond };
  }
  throw new ChukchaError(
    'invalid_option',
    `--rate is ${JSON.stringify(text)}: expected bytes a second, as 100MiB/s, or a share of the maximal rate above 0% and up to 100%, as 50%.`,
  );
}

/** A rate for people: `100 MiB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** What was asked for, for people: `50%` or `100 MiB/s`. */
export function describeLoadRate(rate: LoadRate): string {
  if ('bytesPerSecond' in rate) return formatRate(rate.bytesPerSecond);
  return `${Number((rate.share * 100).toFixed(3))}%`;
}
