// A program: the least that a Node program can do to bring the sealed chunks of a category to a target. It reads them with
// `GET /read`, one read ahead of what is sent, and posts what it has read as it is, or as much of a prepared body as a
// request with action lines has; it checks nothing, remembers nothing and acknowledges nothing.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Client } from '../../src/index.js';
import { sealedChunks } from './plan-reads.js';

export interface CopyLoopOptions {
  readonly node: string;
  readonly target: string;
  readonly path: string;
  readonly category: string;
  readonly readBytes: number;
  readonly inFlight: number;
  readonly gzip: boolean;
  /** How many bytes more each line of 200 bytes has in a request; 0 for what is sent as it was read. */
  readonly actionBytes: number;
}

const lineBytes = 200;
const gzipLevel = 1;

const options = JSON.parse(process.argv[2] ?? '{}') as CopyLoopOptions;
const { readBytes, inFlight, actionBytes } = options;
const agent = new Agent({ keepAlive: true });
const compress = promisify(gzip);
const reads = await planReads();
const buffers = Array.from({ length: inFlight + 1 }, () => Buffer.alloc(readBytes));
const prepared =
  actionBytes === 0
    ? undefined
    : Buffer.alloc((readBytes / lineBytes) * (lineBytes + actionBytes), bodyLine());

let ahead = readNext();
await Promise.all(Array.from({ length: inFlight }, work));
agent.destroy();

async function planReads(): Promise<{ chunk: string; offset: number }[]> {
  const client = new Client({ server: options.node });
  const chunks = await sealedChunks(client, options.category);
  client.close();
  return chunks.flatMap(({ name, size }) =>
    Array.from({ length: Math.ceil(size / readBytes) }, (_, index) => ({
      chunk: name,
      offset: index * readBytes,
    })),
  );
}

async function work(): Promise<void> {
  for (;;) {
    const read = ahead;
    ahead = read.then((bytes) => (bytes === undefined ? undefined : readNext()));
    const bytes = await read;
    if (bytes === undefined) return;
    const lineCount = bytes.length / lineBytes;
    const body = prepared?.subarray(0, lineCount * (lineBytes + actionBytes)) ?? bytes;
    await post(options.gzip ? await compress(body, { level: gzipLevel }) : body);
    buffers.push(Buffer.from(bytes.buffer as ArrayBuffer, 0, readBytes));
  }
}

async function readNext(): Promise<Buffer | undefined> {
  const read = reads.shift();
  if (read === undefined) return undefined;
  const buffer = buffers.pop() ?? Buffer.alloc(readBytes);
  const { category } = options;
  const query = `category=${category}&chunk=${read.chunk}&off=${read.offset}&max_size=${readBytes}`;
  const call = request(`${options.node}/read?${query}`, { agent });
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let filled = 0;
  response.on('data', (piece: Buffer) => {
    filled += piece.copy(buffer, filled);
  });
  await once(response, 'end');
  return buffer.subarray(0, filled);
}

async function post(body: Uint8Array): Promise<void> {
  const headers = {
    'content-length': body.length,
    'content-type': 'application/x-ndjson',
    ...(options.gzip ? { 'content-encoding': 'gzip' } : {}),
  };
  const call = request(`${options.target}${options.path}`, { method: 'POST', agent, headers });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  response.on('data', (piece: Buffer) => pieces.push(piece));
  await once(response, 'end');
  if (response.statusCode !== 200) throw new Error(`The target answered ${response.statusCode}`);
  // A loop that looks at no answer would be no copy of what has to be known.
  if (actionBytes > 0) JSON.parse(Buffer.concat(pieces).toString());
}

function bodyLine(): Buffer {
  const action = `${'{"create":{"_id":"0123456789abcdef-'.padEnd(actionBytes - 4, '0')}"}}\n`;
  const message = `${'{"id":"e000000001","message":"GET /books '.padEnd(lineBytes - 3, 'x')}"}\n`;
  return Buffer.from(action + message);
}
