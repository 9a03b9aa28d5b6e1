export interface TableColumn<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers stand at the right. @default "left" */
  readonly align?: 'left' | 'right';
}

/** The lines of a table: the titles, and a line for each row; none when there are no rows. */
export function formatTable<Row>(
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
): string[] {
  if (rows.length === 0) return [];
  const texts = columns.map(({ title, value, align }) => {
    const cells = [title, ...rows.map(value)];
    const width = Math.max(...cells.map((cell) => cell.length));
    return cells.map((cell) => (align === 'right' ? cell.padStart(width) : cell.padEnd(width)));
  });
  return [...rows.keys(), rows.length].map((line) =>
    texts
      .map((cells) => cells[line])
      .join('  ')
      .trimEnd(),
  );
}
