/** Characters that a terminal obeys instead of showing them, or that change the order of what is shown. */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * The text with everything that a terminal would obey written out, as in `\x1b` or `\u202e`; a tab stays. A message can then
 * neither move the cursor, nor set a title, nor look like another message.
 */
export function printableText(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** The text of bytes of any kind; those that are not UTF-8 are written out as `\xfe`. */
export function textOf(bytes: Buffer): string {
  const text = bytes.toString();
  if (!text.includes('\ufffd')) return text;
  // Decoded again piece by piece only where something is wrong, which is rare.
  let shown = '';
  let start = 0;
  while (start < bytes.length) {
    const length = characterLength(bytes, start);
    shown +=
      length === 0
        ? `\\x${bytes.toString('hex', start, start + 1)}`
        : bytes.toString('utf8', start, start + length);
    start += length || 1;
  }
  return shown;
}

/** How many bytes the character at this place has; 0 when there is none that is valid. */
function characterLength(bytes: Buffer, start: number): number {
  const first = bytes[start] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const piece = bytes.subarray(start, start + length);
  const text = piece.toString();
  const isOne = [...text].length === 1;
  // The replacement character may also have been in the message itself.
  const isWhole = text !== '\ufffd' || piece.toString('hex') === 'efbfbd';
  return piece.length === length && isOne && isWhole ? length : 0;
}
