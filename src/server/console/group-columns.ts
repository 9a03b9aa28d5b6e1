import { formatBytes, formatCount, formatRate, formatSpan } from './format-figures.js';
import type { Cell, Column } from './live-table.js';
import type { GroupReport } from './node-report.js';

export interface GroupRow extends GroupReport {
  readonly category: string;
  /** How fast the backlog shrinks, in bytes per second; negative when it grows, NaN when that is not known. */
  readonly drainRate: number;
}

/** Slower than this is no movement: a byte here and there is not worth a forecast. */
const movingRateMin = 1_024;

/** A forecast beyond a month says no more than that it takes long. */
const forecastSecondsMax = 30 * 86_400;

/** The columns of the table of groups. */
export const groupColumns: readonly Column<GroupRow>[] = [
  { title: 'Group', cell: ({ group }) => group },
  { title: 'Category', isWords: true, cell: ({ category }) => category },
  {
    title: 'Backlog',
    isNumber: true,
    cell: ({ bytes }) => ({ text: formatBytes(bytes), tone: bytes === 0 ? 'quiet' : 'plain' }),
  },
  { title: 'Chunks', isNumber: true, cell: ({ chunks }) => formatCount(chunks) },
  { title: 'Trend', isNumber: true, cell: trendCell },
];

function trendCell({ bytes, drainRate }: GroupRow): Cell {
  if (Number.isNaN(drainRate)) return { text: '–', tone: 'quiet' };
  if (drainRate <= -movingRateMin) return { text: `grows ${formatRate(-drainRate)}`, tone: 'warn' };
  if (drainRate < movingRateMin) return { text: 'steady', tone: 'quiet' };
  const seconds = bytes / drainRate;
  if (seconds > forecastSecondsMax) return { text: 'shrinks slowly' };
  return { text: `done in ${formatSpan(seconds)}` };
}
