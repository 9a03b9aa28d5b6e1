import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { BenchOptions } from './support/bench-options.js';
import {
  aloneSchedule,
  byteUnit,
  type Comparison,
  compare,
  comparisonHeads,
  requestUnit,
  type Side,
  togetherSchedule,
} from './support/compare.js';
import { makeLines } from './support/make-lines.js';
import { makeRequest, repeatRequest } from './support/requests.js';
import { startNode } from './support/servers.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;

/** As many as a large installation has; each request that is not like the one before is compared with all. */
const tokenCount = 100;

const token = `chukcha_${randomBytes(32).toString('base64url')}`;

/** How each request of a connection differs from the one before. */
type Requests = 'the same' | 'numbered';

/** `POST /write` at a node that asks for tokens, in turn with one that does not. */
export async function benchWriteTokens(options: BenchOptions): Promise<void> {
  const rows: string[][] = [];
  for (const comparison of [
    small('200 B x 64', 'the same'),
    small('200 B x 64, numbered', 'numbered'),
    large(),
  ]) {
    rows.push(...(await compare(comparison, options)));
  }
  printTable(comparisonHeads('size x connections', requestUnit), rows);
}

function small(name: string, requests: Requests): Comparison {
  return {
    name,
    sides: sidesOf(makeLines(200), 64, requests),
    unit: requestUnit,
    warmUp: { durationMs: 1_000 },
    timed: { durationMs: 500 },
    schedule: togetherSchedule,
  };
}

function large(): Comparison {
  return {
    name: '1 MiB x 4 (MiB/s, CPU s/GB)',
    sides: sidesOf(makeLines(MIB), 4, 'the same'),
    unit: byteUnit(MIB),
    warmUp: { requestCount: 64 },
    timed: { requestCount: 256 },
    schedule: aloneSchedule,
  };
}

function sidesOf(body: Buffer, connectionCount: number, requests: Requests): Side[] {
  return [false, true].map((isGuarded) => {
    const lines = isGuarded ? `Authorization: Bearer ${token}\r\n` : '';
    const takeRequests = requests === 'the same' ? repeated(body, lines) : numbered(body, lines);
    return {
      name: isGuarded ? 'with tokens' : 'without tokens',
      start: (directory) => startNode(directory, isGuarded ? tokenFlags(directory) : []),
      load: { connectionCount, takeRequests },
    };
  });
}

function repeated(body: Buffer, lines: string): (count: number) => Buffer {
  return repeatRequest(makeRequest('POST', '/write?category=bench', body, lines));
}

/** As a producer sends them: its sequence is in every head, so that none is like the one before. */
function numbered(body: Buffer, lines: string): (count: number) => Buffer {
  let sequence = 0;
  const producer = randomBytes(8).toString('hex');
  return () => {
    const stamp = `Chukcha-Producer: ${producer}\r\nChukcha-Sequence: ${sequence}\r\n`;
    sequence += 1;
    return makeRequest('POST', '/write?category=bench', body, stamp + lines);
  };
}

/** The file lies beside the data; the token of the load is in its middle. */
function tokenFlags(directory: string): readonly string[] {
  const secrets = Array.from({ length: tokenCount }, (_, index) =>
    index === tokenCount / 2 ? token : randomBytes(32).toString('base64url'),
  );
  const entries = secrets.map((secret, index) => {
    const sha256 = createHash('sha256').update(secret).digest('hex');
    return { name: `token${index}`, sha256, write: ['bench'] };
  });
  const path = `${directory}-tokens.yaml`;
  writeFileSync(path, JSON.stringify({ tokens: entries }));
  return ['--tokens', path];
}
