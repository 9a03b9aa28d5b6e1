/** The width that every terminal has; longer lines are hard to read anyway. */
const columnsMax = 80;

/** Breaks a text into indented lines of at most 80 columns, between words. */
export function wrapText(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    const longer = line === indent ? line + word : `${line} ${word}`;
    if (longer.length <= columnsMax || line === indent) line = longer;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, ...(line === indent ? [] : [line])];
}
