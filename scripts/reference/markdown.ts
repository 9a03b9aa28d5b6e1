/** Text as a part of a Markdown document: what stands between backticks stays, all else loses its special meaning. */
export function escapeText(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) =>
      part.startsWith('`') ? part : part.replace(/[*<[\]]/g, (character) => `\\${character}`),
    )
    .join('');
}

/** Code within a line. */
export function code(text: string): string {
  const fence = text.includes('`') ? '``' : '`';
  const space = fence.length > 1 ? ' ' : '';
  return `${fence}${space}${text.replace(/\s+/g, ' ').trim()}${space}${fence}`;
}

/** Lines of code. */
export function codeBlock(language: string, lines: readonly string[]): string {
  return [`\`\`\`${language}`, ...lines, '```'].join('\n');
}

/** A table; cells are Markdown already, and may have several lines. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`.replace(
      /\| {2}(?=\|)/g,
      '| ',
    );
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(line)].join('\n');
}

/** A page of the reference, with the note that nobody is to edit it. */
export function page(title: string, parts: readonly string[]): string {
  const note =
    '<!-- Made from the sources by `npm run docs`. Change the sources, not this page. -->';
  return `${[`# ${title}`, note, ...parts.filter((part) => part !== '')].join('\n\n')}\n`;
}
