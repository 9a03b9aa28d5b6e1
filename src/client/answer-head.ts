import type { IncomingHttpHeaders } from 'node:http';

/** The head of an answer whose body has a known length. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bodyBytes: number;
  /** Whether the connection can be used again. */
  readonly isKept: boolean;
}

const statusLine = /^HTTP\/1\.1 ([2-5]\d\d)(?: |$)/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;

/** Statuses whose answers never have a body, whatever their length says. */
const bodiless = new Set([204, 205, 304]);

/**
 * Reads the head of an answer as a node sends it: HTTP/1.1, each header once, the length as a plain number.
 *
 * @param text what stands in front of the empty line
 * @returns `undefined` for all else, which is no error, but more than is understood here
 */
export function parseAnswerHead(text: string): AnswerHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const status = Number(statusLine.exec(first)?.[1]);
  if (Number.isNaN(status) || bodiless.has(status)) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = '', value = ''] = headerLine.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === '' || Object.hasOwn(headers, key)) return undefined;
    headers[key] = value;
  }
  const length = headers['content-length'];
  if (length === undefined || !/^\d{1,15}$/.test(length)) return undefined;
  if (headers['transfer-encoding'] !== undefined || headers['upgrade'] !== undefined)
    return undefined;
  const isKept = !/\bclose\b/i.test(headers['connection'] ?? '');
  return { status, headers, bodyBytes: Number(length), isKept };
}
