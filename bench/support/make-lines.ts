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

/** JSON objects of exactly 200 bytes with their newlines, all different, as many as fit. */
export function makeJsonLines(byteCount: number): Buffer {
  const count = Math.floor(byteCount / lineBytes);
  const lines = Buffer.alloc(count * lineBytes);
  for (let index = 0; index < count; index += 1) {
    const ms = (index * 7919) % 1000;
    const message = `GET /books/${index % 97} ${200 + (index % 5)} ${ms} ms visitor=${(index * 104_729) % 100_000}`;
    const start = `{"id":"e${String(index).padStart(9, '0')}","time":${1_795_000_000 + index},"message":"`;
    lines.write(
      `${`${start}${message} `.padEnd(lineBytes - 3, 'x')}"}\n`,
      index * lineBytes,
      'latin1',
    );
  }
  return lines;
}
