import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { HeldConnections } from '../../bench/support/held-connections.js';
import { runHttpLoad } from '../../bench/support/http-load.js';
import { Client } from '../../src/index.js';
import { inFlightBytesMaxDefault } from '../../src/protocol/limits.js';
import { RawConnection, writeRequest } from '../support/raw-connection.js';
import { SeededRandom } from '../support/seeded-random.js';
import type { FloodTarget } from './flood-target.js';
import type { Tally } from './tally.js';

/** One way to be hard on a node. */
export interface Attack {
  readonly summary: string;
  /** By how much the node's memory may grow meanwhile. */
  readonly growthMibMax: number;
  /** Which refusals a well-behaved client may meet meanwhile; none when it is not given. */
  readonly probeRefusals?: RegExp;
  run(target: FloodTarget, tally: Tally): Promise<void>;
}

const MIB = 1024 * 1024;
const refused = /^(4\d\d \w+|closed)$/;
const seed = Number(process.env['CHUKCHA_TEST_SEED'] ?? 1);

/** How many connections an attack has at a time that ends each of them. */
const atOnceCount = 100;

/** More than the 30 s that a head may take, and the eight ticks in which every connection is looked at once. */
const headMsMax = 45_000;

/** More than the two minutes in which something has to move on a connection. */
const idleMsMax = 135_000;

export const attacks: Readonly<Record<string, Attack>> = {
  'random-bytes': {
    summary: '3,000 connections that say up to 4 KiB of random bytes',
    growthMibMax: 64,
    async run(target, tally) {
      const random = new SeededRandom(seed);
      await inParallel(3_000, async () => {
        const length = random.integer(1, 4_096);
        const bytes = Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
        tally.count(await target.exchange(bytes), refused);
      });
    },
  },
  'half-requests': {
    summary: '3,000 requests that end at any byte',
    growthMibMax: 64,
    async run(target, tally) {
      const random = new SeededRandom(seed);
      const whole = writeRequest(`${'x'.repeat(500)}\n`, 'half', 'X-Any: value\r\n');
      await inParallel(3_000, async () => {
        const part = whole.slice(0, random.integer(1, whole.length - 1));
        tally.count(await target.exchange(part), refused);
      });
    },
  },
  'strange-requests': {
    summary:
      '3,000 wrong methods, unknown paths and parameters, lengths and encodings that cannot be',
    growthMibMax: 64,
    async run(target, tally) {
      await inParallel(3_000, async (index) => {
        const request = strangeRequests[index % strangeRequests.length] ?? '';
        tally.count(await target.exchange(request), refused);
      });
    },
  },
  'huge-heads': {
    summary: '500 heads of 32 KiB to 4 MiB, in one header, in many, and in the target',
    growthMibMax: 128,
    async run(target, tally) {
      await inParallel(500, async (index) => {
        const size = 32 * 1024 * 2 ** (index % 8);
        const heads = [
          `GET /livez HTTP/1.1\r\nHost: x\r\nX-Any: ${'x'.repeat(size)}\r\n\r\n`,
          `GET /livez HTTP/1.1\r\nHost: x\r\n${'X-Any: x\r\n'.repeat(size / 10)}\r\n`,
          `GET /read?category=${'x'.repeat(size)} HTTP/1.1\r\nHost: x\r\n\r\n`,
        ];
        // One that sends more than the node reads may lose the answer to the reset of its connection.
        tally.count(await target.exchange(heads[index % heads.length] ?? ''), /^(431 \w+|closed)$/);
      });
    },
  },
  'endless-body': {
    summary: '2 GB in chunked bodies that do not end',
    growthMibMax: 64,
    async run(target, tally) {
      for (let sentBytes = 0; sentBytes < 2e9; ) {
        const connection = new RawConnection(target.url);
        connection.send(chunkedHead('endless'));
        while (!connection.socket.destroyed && sentBytes < 2e9) {
          sentBytes += MIB;
          if (!connection.socket.write(chunkOf(MIB))) await drained(connection);
        }
        tally.count(await target.endOf(connection, 1_000), /^(413 batch_too_large|closed)$/);
      }
    },
  },
  'chunked-writes': {
    summary: '2 GB in chunked bodies of 4 MB, acknowledged as it goes',
    growthMibMax: 128,
    async run(target, tally) {
      const client = new Client({ server: target.url });
      const pieces = Buffer.concat([
        ...Array.from({ length: 4 }, () => chunkOf(1_000_000)),
        Buffer.from('0\r\n\r\n'),
      ]);
      const connection = new RawConnection(target.url);
      for (let count = 0; count < 500; count += 1) {
        connection.send(chunkedHead('chunked'));
        connection.send(pieces);
        tally.count(String((await connection.answer()).status), /^200$/);
        if (count % 50 === 49) await ackAll(client, 'chunked');
      }
      connection.socket.destroy();
      client.close();
    },
  },
  'idle-connections': {
    summary: '5,000 connections that were used once and say nothing more',
    growthMibMax: 192,
    async run(target, tally) {
      const held = new HeldConnections(new URL(target.url));
      try {
        const request = Buffer.from(writeRequest('a\n', 'idle'));
        await held.grow(5_000, (connection) => connection.exchange(request));
        await delay(3_000);
        held.check();
        tally.note('all are held');
      } finally {
        held.close();
      }
    },
  },
  'stalled-bodies': {
    summary: 'bodies of 4 MiB of which half is sent, until the node refuses more of them',
    // Slabs are counted when they are taken, and a socket and its parser come on top.
    growthMibMax: inFlightBytesMaxDefault / MIB + 96,
    probeRefusals: /^too_many_bytes$/,
    run: stallBodies,
  },
  'slow-heads': {
    summary: '500 clients that send a byte of a head a second, or half of it and nothing more',
    growthMibMax: 64,
    async run(target, tally) {
      const request = writeRequest('a\n', 'slow', `X-Any: ${'x'.repeat(200)}\r\n`);
      await inParallel(
        500,
        async (index) => {
          const connection = new RawConnection(target.url);
          if (index % 2 === 0) connection.send(request.slice(0, 100));
          else trickle(connection, request);
          tally.count(await target.endOf(connection, headMsMax), /^(408 request_timeout|closed)$/);
        },
        500,
      );
    },
  },
  'slow-bodies': {
    summary:
      '500 clients that send a byte of a body a second, for 20 s of the 5 min that they may take',
    growthMibMax: 192,
    async run(target, tally) {
      const head = `POST /write?category=slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n`;
      await inParallel(
        500,
        async () => {
          const connection = new RawConnection(target.url);
          connection.send(head);
          trickle(connection, 'x'.repeat(1_000));
          tally.count(await target.endOf(connection, 20_000), /^open$/);
        },
        500,
      );
    },
  },
  'no-reading': {
    summary: '200 clients that ask for 100 MiB each and never read, by both parsers',
    growthMibMax: 192,
    async run(target, tally) {
      const client = new Client({ server: target.url });
      const batch = Buffer.alloc(4 * MIB, `${'x'.repeat(1_023)}\n`);
      const { chunk } = await client.write('unread', [batch]);
      client.close();
      const started = Array.from({ length: 200 }, async (_, index) => {
        const connection = new RawConnection(target.url);
        connection.socket.pause();
        const extra = index % 2 === 0 ? '' : 'X-Any: value\r\n';
        const request = `GET /read?category=unread&chunk=${chunk}&max_size=${MIB} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`;
        connection.send(request.repeat(100));
        await delay(idleMsMax);
        // What the system still has is read now; only then does the client see that the node has hung up.
        connection.socket.resume();
        const end = await target.endOf(connection, 5_000);
        tally.count(end === '200' ? 'cut' : end, /^(cut|closed)$/);
      });
      await Promise.all(started);
    },
  },
  'many-categories': {
    summary: '10,000 categories, each written once, then a list and a restart',
    growthMibMax: 512,
    // The restart is part of it.
    probeRefusals: /^(draining|server_unreachable)$/,
    run: writeManyCategories,
  },
};

const strangeRequests: readonly string[] = [
  ...['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'].map((method) => head(`${method} /write`)),
  ...['POST', 'DELETE'].map((method) => head(`${method} /read?category=logs`)),
  head('GET /'),
  head('GET /../../etc/passwd'),
  head('GET /write/'),
  head('GET /%00'),
  head('FOO /write?category=logs'),
  head('GET /read?category=logs&chunk=../../etc/passwd'),
  head('GET /listChunks?category=logs&categroy=logs'),
  head('GET /listChunks?category=a&category=b'),
  head('GET /listChunks?category=a%2fb'),
  head('GET /listCategories?verbose=1'),
  head('POST /ack?category=logs&chunk=node1-chunk000000000&size=-1'),
  writeRequest('a\n', 'logs&sync=true'),
  writeRequest('a\n', 'logs&sync_each_write=maybe'),
  writeRequest('a\n', 'x'.repeat(129)),
  writeRequest('a\n', '..'),
  writeRequest('', 'logs'),
  writeRequest('no end', 'logs'),
  writeRequest('a\n', 'logs', 'Content-Encoding: br\r\n'),
  writeRequest('a\n', 'logs', 'Content-Encoding: gzip\r\n'),
  writeRequest('a\n', 'logs', 'Content-Length: 7\r\n'),
  writeRequest('a\n', 'logs', 'Transfer-Encoding: chunked\r\n'),
  head('POST /write?category=logs', 'Content-Length: -1\r\n'),
  head('POST /write?category=logs', 'Content-Length: 99999999999999999999\r\n'),
  head('POST /write?category=logs', 'Content-Length: 5000000\r\n'),
  `${chunkedHead('logs')}zz\r\na\n\r\n0\r\n\r\n`,
  `${chunkedHead('logs')}ffffffffffffffffff\r\na\n`,
];

function head(start: string, extra = ''): string {
  return `${start} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${extra}\r\n`;
}

function chunkedHead(category: string): string {
  return `POST /write?category=${category} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
}

/** A piece of a chunked body, with lines of 1,000 bytes. */
function chunkOf(byteCount: number): Buffer {
  const lines = Buffer.alloc(byteCount, `${'x'.repeat(999)}\n`);
  lines[byteCount - 1] = 0x0a;
  return Buffer.concat([Buffer.from(`${byteCount.toString(16)}\r\n`), lines, Buffer.from('\r\n')]);
}

async function inParallel(
  count: number,
  run: (index: number) => Promise<void>,
  laneCount = atOnceCount,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await run(index);
  };
  await Promise.all(Array.from({ length: laneCount }, lane));
}

function drained({ socket, closed }: RawConnection): Promise<unknown> {
  return Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
}

/** Sends a byte a second until the connection is closed. */
function trickle({ socket }: RawConnection, text: string): void {
  let sent = 0;
  const timer = setInterval(() => {
    if (!socket.destroyed) socket.write(text.charAt(sent++));
  }, 1_000);
  socket.once('close', () => clearInterval(timer));
}

async function ackAll(client: Client, category: string): Promise<void> {
  await client.seal(category);
  const { chunks } = await client.listChunks(category);
  for (const { name, size } of chunks) await client.ack(category, name, size);
}

/** More halves than the node takes; whoever sends a whole body then is refused, until they are gone. */
async function stallBodies(target: FloodTarget, tally: Tally): Promise<void> {
  const bodyBytes = 4 * MIB;
  const half = Buffer.alloc(bodyBytes / 2, 'x\n');
  const start = `POST /write?category=stalled HTTP/1.1\r\nHost: x\r\nContent-Length: ${bodyBytes}\r\n\r\n`;
  const connections: RawConnection[] = [];
  try {
    const connectionCount = Math.ceil((1.25 * inFlightBytesMaxDefault) / half.length);
    for (let count = 0; count < connectionCount; count += 1) {
      const connection = new RawConnection(target.url);
      connections.push(connection);
      connection.send(start);
      await new Promise<void>((resolve) => connection.socket.write(half, () => resolve()));
    }
    // One that was refused is read to its end before it is answered.
    for (let count = 0; count < 20; count += 1) {
      const outcome = await target.exchange(Buffer.concat([Buffer.from(start), half, half]));
      tally.count(outcome, /^429 too_many_bytes$/);
    }
  } finally {
    for (const { socket } of connections) socket.destroy();
  }
  const client = new Client({ server: target.url });
  let tries = 1;
  for (; tries < 100; tries += 1) {
    const isTaken = await client.write('stalled', [Buffer.from('a\n')]).then(
      () => true,
      () => false,
    );
    if (isTaken) break;
    await delay(20);
  }
  client.close();
  tally.count(tries < 100 ? 'writes are taken again' : 'writes are refused for good', /again$/);
}

async function writeManyCategories(target: FloodTarget, tally: Tally): Promise<void> {
  const categoryCount = 10_000;
  let count = 0;
  const takeRequests = (): Buffer =>
    Buffer.from(writeRequest('a\n', `many-${String(count++).padStart(5, '0')}`));
  const load = { connectionCount: 8, takeRequests };
  const { seconds } = await runHttpLoad(new URL(target.url), load, { requestCount: categoryCount });
  tally.note(`written in ${seconds.toFixed(1)} s`);
  const list = async (when: string): Promise<void> => {
    const client = new Client({ server: target.url });
    const startMs = performance.now();
    const names = await client.listCategories();
    const listedMs = performance.now();
    await client.status();
    const statusMs = performance.now();
    client.close();
    const found = names.filter((name) => name.startsWith('many-')).length;
    tally.count(`${found} listed ${when}`, new RegExp(`^${categoryCount} listed`));
    tally.note(
      `list ${(listedMs - startMs).toFixed(0)} ms, status ${(statusMs - listedMs).toFixed(0)} ms`,
    );
  };
  await list('at first');
  const { stopMs, startMs } = await target.restart();
  tally.note(`stop ${(stopMs / 1_000).toFixed(1)} s, start ${(startMs / 1_000).toFixed(1)} s`);
  await list('after the restart');
}
