/** The usual length of a line of a log. */
const lineBytes = 200;

/** Lines of about 200 bytes that are all different, together exactly `byteCount` bytes, ended by a newline. */
export function makeLines(byteCount: number): Buffer {
  const lines = Buffer.alloc(byteCount, 0x2e);
  for (let start = 0; start < byteCount; start += lineBytes) {
    lines.write(
      `${String(start).padStart(12, '0')} GET /books/${start % 97} 200 `,
      start,
      'latin1',
    );
    if (start > 0) lines[start - 1] = 0x0a;
  }
  lines[byteCount - 1] = 0x0a;
  return lines;
}
