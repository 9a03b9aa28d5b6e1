import { headers } from '../../protocol/http-api.js';
import { parseRead, type ReadCall, readQueryNames } from '../operations/read.js';
import { parseWrite, type WriteCall, writeQueryNames } from '../operations/write.js';
import { Query } from '../query.js';

/** A head that is longer is not the lane's. */
export const headBytesMax = 4 * 1024;

/** The head of a request that the lane takes. */
export type RequestHead =
  | {
      readonly kind: 'write';
      /** The head as it came: one with the same bytes means the same. */
      readonly bytes: Buffer;
      readonly call: WriteCall;
      readonly bodyBytes: number;
    }
  | { readonly kind: 'read'; readonly bytes: Buffer; readonly call: ReadCall };

/** Names and numbers, so that nothing needs decoding and the query means the same to every parser. */
const requestLine =
  /^(POST \/write|GET \/read)\?([a-z_]+=[A-Za-z0-9_-]+(?:&[a-z_]+=[A-Za-z0-9_-]+)*) HTTP\/1\.1$/;

/** One blank, then visible ASCII with single or more blanks inside. */
const headerLine = /^([A-Za-z-]+): ?([!-~](?:[ -~]*[!-~])?)$/;

/** What a head can still become that is not whole yet; a CR or LF alone is for Node's parser to refuse. */
const plainStart = /^(?:[ -~]|\r\n)*\r?$/;
const starts = ['POST /write?', 'GET /read?'];

/** What common clients send without asking for anything that the lane does not do. */
const ignoredHeaders: ReadonlySet<string> = new Set([
  'user-agent',
  'accept',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
]);

const lengthPattern = /^[1-9][0-9]{0,9}$/;

/**
 * Reads the head at the start of `[start, end)`. `foreign` means that Node's parser has to look at it: the
 * head is not in the one plain form that the lane takes, or asks for something that is refused.
 */
export function readHead(
  buffer: Buffer,
  start: number,
  end: number,
  bodyBytesMax: number,
): RequestHead | 'incomplete' | 'foreign' {
  const text = buffer.toString('latin1', start, Math.min(end, start + headBytesMax));
  const length = text.indexOf('\r\n\r\n');
  if (length === -1) return mayBecomeHead(text) ? 'incomplete' : 'foreign';
  const bytes = Buffer.from(buffer.subarray(start, start + length + 4));
  try {
    return parseHead(text.slice(0, length), bytes, bodyBytesMax) ?? 'foreign';
  } catch {
    // The application finds the same fault, and answers it.
    return 'foreign';
  }
}

function mayBecomeHead(text: string): boolean {
  if (text.length >= headBytesMax || !plainStart.test(text)) return false;
  return starts.some((start) => text.startsWith(start.slice(0, text.length)));
}

function parseHead(text: string, bytes: Buffer, bodyBytesMax: number): RequestHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const [, target, queryString = ''] = requestLine.exec(first) ?? [];
  const fields = parseFields(lines);
  if (target === undefined || fields === undefined || !fields.has('host')) return undefined;
  const length = fields.get('content-length');
  const producer = fields.get(headers.producer);
  const sequence = fields.get(headers.sequence);
  if (target === 'GET /read') {
    if (length !== undefined || producer !== undefined || sequence !== undefined) return undefined;
    return { kind: 'read', bytes, call: parseRead(new Query(queryString, readQueryNames)) };
  }
  if (length === undefined || !lengthPattern.test(length)) return undefined;
  const bodyBytes = Number(length);
  if (bodyBytes > bodyBytesMax) return undefined;
  const call = parseWrite(new Query(queryString, writeQueryNames), { producer, sequence });
  return { kind: 'write', bytes, call, bodyBytes };
}

/** The header fields that mean something here, by name; `undefined` when one is unknown, twice there or odd. */
function parseFields(lines: readonly string[]): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, mixedName = '', value = ''] = headerLine.exec(line) ?? [];
    const name = mixedName.toLowerCase();
    if (fields.has(name) || !isKnown(name, value)) return undefined;
    fields.set(name, value);
  }
  return fields;
}

function isKnown(name: string, value: string): boolean {
  switch (name) {
    case 'host':
    case 'content-length':
    case headers.producer:
    case headers.sequence:
      return true;
    case 'connection':
      return value.toLowerCase() === 'keep-alive';
    case 'content-type':
      // The body of a form is refused, and the application says why.
      return !/^multipart\//i.test(value);
    default:
      return ignoredHeaders.has(name);
  }
}
