import { formatBytes } from './format-figures.js';
import type { Column } from './live-table.js';
import type { ChunkReport } from './node-report.js';
import type { PeekFrom } from './peek-panel.js';

/** The columns of the table of chunks. @param peek called with the chunk to look into */
export function chunkColumns(
  peek: (chunk: string, from: PeekFrom) => void,
): readonly Column<ChunkReport>[] {
  const button = (from: PeekFrom, title: string): Column<ChunkReport> => ({
    title,
    cell: ({ name, size }) =>
      size === 0
        ? { text: 'empty', tone: 'quiet' }
        : { text: title, press: () => peek(name, from), label: `${title} messages of ${name}` },
  });
  return [
    { title: 'Chunk', cell: ({ name }) => name },
    {
      title: 'State',
      cell: ({ complete }) =>
        complete ? { text: 'sealed', tone: 'quiet' } : { text: 'open', tone: 'good' },
    },
    { title: 'Size', isNumber: true, cell: ({ size }) => formatBytes(size) },
    button('first', 'First'),
    button('last', 'Last'),
  ];
}

/** The newest chunk of each owner first: that is where something happens. */
export function newestFirst(chunks: readonly ChunkReport[]): ChunkReport[] {
  const place = ({ name }: ChunkReport): number =>
    Number(name.slice(name.lastIndexOf('-chunk') + 6));
  return chunks.toSorted((one, other) => place(other) - place(one));
}
