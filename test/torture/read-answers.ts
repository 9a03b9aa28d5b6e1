/** One answer as it came. */
interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What came over a connection, taken apart as a client would; strictly, for what no client must be sent. */
export interface RawAnswers {
  readonly answers: readonly RawAnswer[];
  /** Why the bytes are no answers; `undefined` when they are, up to where they were cut off. */
  readonly fault: string | undefined;
}

/**
 * @param text the bytes as latin1
 * @param isHead whether the first request was a `HEAD`, whose answer has no body
 */
export function readAnswers(text: string, isHead: boolean): RawAnswers {
  const answers: RawAnswer[] = [];
  let isFirst = true;
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd === -1) return { answers, fault: faultOfCut(text.slice(at)) };
    const [first = '', ...lines] = text.slice(at, headEnd).split('\r\n');
    const [, code] = /^HTTP\/1\.1 (\d{3}) [A-Za-z -]*$/.exec(first) ?? [];
    if (code === undefined) return { answers, fault: `a status line is ${quoted(first)}` };
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name, value = ''] = /^([A-Za-z-]+): ([ -~]*)$/.exec(line) ?? [];
      if (name === undefined) return { answers, fault: `a header is ${quoted(line)}` };
      if (headers.has(name.toLowerCase())) return { answers, fault: `${name} is there twice` };
      headers.set(name.toLowerCase(), value);
    }
    const status = Number(code);
    const start = headEnd + 4;
    if (status === 101) {
      answers.push({ status, headers, body: text.slice(start) });
      return { answers, fault: undefined };
    }
    // What the parser refuses it has not read so far that it knew the method; the connection ends with it.
    const isToHead = isHead && isFirst && !text.startsWith('{', start);
    const isBare = status < 200 || status === 204 || status === 304 || isToHead;
    const body = isBare ? { text: '', end: start } : readBody(text, start, headers);
    if (typeof body === 'string') return { answers, fault: body };
    answers.push({ status, headers, body: body.text });
    if (status >= 200) isFirst = false;
    at = body.end;
  }
  return { answers, fault: undefined };
}

function readBody(
  text: string,
  start: number,
  headers: ReadonlyMap<string, string>,
): { readonly text: string; readonly end: number } | string {
  const length = headers.get('content-length');
  if (headers.get('transfer-encoding') !== undefined) {
    return length === undefined ? readChunks(text, start) : 'an answer has two lengths';
  }
  const end = length === undefined ? text.length : start + Number(length);
  return { text: text.slice(start, end), end };
}

function readChunks(text: string, start: number): { text: string; end: number } | string {
  let body = '';
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return { text: body, end: text.length };
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!/^[0-9a-f]+$/i.test(text.slice(at, lineEnd))) {
      return `a chunk has the size ${quoted(text.slice(at, lineEnd))}`;
    }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
    if (size === 0 || at >= text.length) return { text: body, end: at };
  }
}

/** A head may be cut off by the end of the connection, but has to be the beginning of one. */
function faultOfCut(text: string): string | undefined {
  const start = 'HTTP/1.1 ';
  return text.startsWith(start.slice(0, text.length))
    ? undefined
    : `it goes on with ${quoted(text)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
