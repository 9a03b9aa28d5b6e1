import { streamProtocol } from '../../protocol/frames.js';
import { headers } from '../../protocol/http-api.js';
import { type ReplicaHello, replicationQueryNames } from '../../protocol/replication.js';
import { parseRead, type ReadCall, readQueryNames } from '../operations/read.js';
import {
  type ConsumeCall,
  consumeQueryNames,
  type ProduceCall,
  parseConsume,
  parseProduce,
  parseReplication,
  produceQueryNames,
} from '../operations/streams.js';
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
      readonly authorization: string | undefined;
    }
  | {
      readonly kind: 'read';
      readonly bytes: Buffer;
      readonly call: ReadCall;
      readonly authorization: string | undefined;
    }
  | {
      readonly kind: 'stream';
      readonly bytes: Buffer;
      readonly call: ProduceCall | ConsumeCall;
      readonly authorization: string | undefined;
    }
  | {
      readonly kind: 'replica';
      readonly bytes: Buffer;
      readonly hello: ReplicaHello;
      readonly authorization: string | undefined;
    };

/** Names and numbers, so that nothing needs decoding and the query means the same to every parser. */
const requestLine =
  /^(POST \/write|GET \/read|GET \/produce|GET \/consume|GET \/replication\/stream)\?([a-z_]+=[A-Za-z0-9_-]+(?:&[a-z_]+=[A-Za-z0-9_-]+)*) HTTP\/1\.1$/;

/** One blank, then visible ASCII with single or more blanks inside. */
const headerLine = /^([A-Za-z-]+): ?([!-~](?:[ -~]*[!-~])?)$/;

const headEnd = Buffer.from('\r\n\r\n');

/** What a head can still become that is not whole yet; a CR or LF alone is for Node's parser to refuse. */
const plainStart = /^(?:[ -~]|\r\n)*\r?$/;
const starts = [
  'POST /write?',
  'GET /read?',
  'GET /produce?',
  'GET /consume?',
  'GET /replication/stream?',
];

/** What common clients send without asking for anything that the lane does not do. */
const ignoredHeaders: ReadonlySet<string> = new Set([
  'user-agent',
  'accept',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
]);

/** What says that a body follows, or how. */
const bodyHeaders: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'expect',
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
  const unread = buffer.subarray(start, Math.min(end, start + headBytesMax));
  const length = unread.indexOf(headEnd);
  if (length === -1) return mayBecomeHead(unread.toString('latin1')) ? 'incomplete' : 'foreign';
  const bytes = Buffer.from(unread.subarray(0, length + headEnd.length));
  try {
    // Of the head alone: the connection remembers what is cut from this text, and with that all of it.
    return parseHead(bytes.toString('latin1', 0, length), bytes, bodyBytesMax) ?? 'foreign';
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
  if (target === undefined) return undefined;
  if (target !== 'POST /write' && target !== 'GET /read') {
    return parseStream(target, queryString, lines, bytes);
  }
  const fields = parseFields(lines, isPlainField);
  if (fields === undefined) return undefined;
  const authorization = fields.get('authorization');
  const length = fields.get('content-length');
  const producer = fields.get(headers.producer);
  const sequence = fields.get(headers.sequence);
  if (target === 'GET /read') {
    if (length !== undefined || producer !== undefined || sequence !== undefined) return undefined;
    const call = parseRead(new Query(queryString, readQueryNames));
    return { kind: 'read', bytes, call, authorization };
  }
  if (length === undefined || !lengthPattern.test(length)) return undefined;
  const bodyBytes = Number(length);
  if (bodyBytes > bodyBytesMax) return undefined;
  const call = parseWrite(new Query(queryString, writeQueryNames), { producer, sequence });
  return { kind: 'write', bytes, call, bodyBytes, authorization };
}

function parseStream(
  target: string,
  queryString: string,
  lines: readonly string[],
  bytes: Buffer,
): RequestHead | undefined {
  const fields = parseFields(lines, isStreamField);
  if (fields?.get('upgrade') !== streamProtocol || !fields.has('connection')) return undefined;
  const authorization = fields.get('authorization');
  if (target === 'GET /replication/stream') {
    const hello = parseReplication(new Query(queryString, replicationQueryNames));
    return { kind: 'replica', bytes, hello, authorization };
  }
  const call =
    target === 'GET /produce'
      ? parseProduce(new Query(queryString, produceQueryNames), fields.get(headers.producer))
      : parseConsume(new Query(queryString, consumeQueryNames));
  return { kind: 'stream', bytes, call, authorization };
}

/** The header fields by name; `undefined` when one is refused, twice there or odd, or there is no host. */
function parseFields(
  lines: readonly string[],
  isTaken: (name: string, value: string) => boolean,
): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, mixedName = '', value = ''] = headerLine.exec(line) ?? [];
    const name = mixedName.toLowerCase();
    if (name === '' || fields.has(name) || !isTaken(name, value)) return undefined;
    fields.set(name, value);
  }
  return fields.has('host') ? fields : undefined;
}

function isPlainField(name: string, value: string): boolean {
  switch (name) {
    case 'host':
    case 'content-length':
    case 'authorization':
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

/** A stream has no body, so nothing else that a proxy adds can mean a thing to it. */
function isStreamField(name: string, value: string): boolean {
  if (name === 'connection') return value.toLowerCase() === 'upgrade';
  return !bodyHeaders.has(name);
}
