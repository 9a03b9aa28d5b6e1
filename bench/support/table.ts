/** Prints rows as a Markdown table, so that a run's output can be put into a document as it is. */
export function printTable(heads: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  console.log(line(heads));
  console.log(line(heads.map(() => '---')));
  for (const row of rows) console.log(line(row));
  console.log();
}
