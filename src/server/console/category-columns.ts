import { formatBytes, formatCount, formatRate } from './format-figures.js';
import type { Cell, Column } from './live-table.js';
import type { CategoryReport } from './node-report.js';
import type { Rates } from './traffic-history.js';

export interface CategoryRow extends CategoryReport {
  readonly rates: Rates;
  readonly isChosen: boolean;
}

/** The columns of the table of categories. @param choose called with the name of the one that is pressed */
export function categoryColumns(choose: (name: string) => void): readonly Column<CategoryRow>[] {
  return [
    {
      title: 'Category',
      cell: ({ name, isChosen }) => ({
        text: name,
        press: () => choose(name),
        isPressed: isChosen,
        label: `${name}: show its chunks and messages`,
      }),
    },
    {
      title: 'Written',
      isNumber: true,
      cell: ({ rates }) => rateCell(rates.written),
    },
    { title: 'Copied', isNumber: true, cell: ({ rates }) => rateCell(rates.copied) },
    { title: 'Read', isNumber: true, cell: ({ rates }) => rateCell(rates.read) },
    { title: 'Chunks', isNumber: true, cell: ({ chunks }) => formatCount(chunks) },
    { title: 'Held', isNumber: true, cell: ({ bytes }) => formatBytes(bytes) },
    {
      title: 'Groups',
      isNumber: true,
      cell: ({ groups }) => formatCount(groups.length),
    },
    {
      title: 'Given up',
      isNumber: true,
      cell: ({ expiredBytes }) => ({
        text: formatBytes(expiredBytes),
        tone: expiredBytes === 0 ? 'quiet' : 'warn',
      }),
    },
  ];
}

function rateCell(bytesPerSecond: number): Cell {
  return { text: formatRate(bytesPerSecond), tone: bytesPerSecond > 0 ? 'plain' : 'quiet' };
}
