import { createLineFormat } from '../src/pipeline/formats/create-line-format.js';
import type { FormatLimits, LineContext, LineFormat } from '../src/pipeline/formats/line-format.js';
import { messageBytesMax } from '../src/protocol/limits.js';
import type { BenchOptions } from './support/bench-options.js';
import { makeLines } from './support/make-lines.js';
import { median, percentile } from './support/statistics.js';
import { printTable } from './support/table.js';

const MIB = 1024 * 1024;

/** What the file input gives at once. */
const blockBytes = 1 * MIB;

/** How much processor time a side has in one round, and how often all of them have their turn. */
const roundMs = 200;
const roundCountDefault = 15;
const roundCountQuick = 5;

const limits: FormatLimits = { outBytesMax: 2 * MIB, messageBytesMax };
const context: LineContext = {
  source: '/var/log/nginx/access.log',
  host: 'web-01.example.com',
  sourceId: '1f6a2b3c4d5e6f70',
  offset: 123_456_789,
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
};

interface Side {
  readonly name: string;
  readonly block: Buffer;
  /** Does the work for a whole block. */
  run(block: Buffer): void;
}

/** The line formats on one core, beside a copy of the same bytes and beside `JSON.stringify` for each line. */
export async function benchLineFormats({ quick }: BenchOptions): Promise<void> {
  const sides = await makeSides();
  const rates = new Map<Side, number[]>(sides.map((side) => [side, []]));
  for (const side of sides) measure(side);
  for (let round = 0; round < (quick ? roundCountQuick : roundCountDefault); round += 1) {
    const inTurn = round % 2 === 0 ? sides : sides.toReversed();
    for (const side of inTurn) rates.get(side)?.push(measure(side));
  }
  const stringify = rates.get(sides[1] as Side) ?? [];
  printTable(
    [
      'blocks of 1 MiB',
      'MB/s of input on one core',
      'quartiles',
      'lines/s',
      'ratio to JSON.stringify',
    ],
    sides.map((side) => {
      const found = rates.get(side) ?? [];
      const lineBytes = side.block.length / countLines(side.block);
      const ratios = found.map((rate, round) => rate / (stringify[round] ?? Number.NaN));
      return [
        side.name,
        median(found).toFixed(0),
        `${percentile(found, 0.25).toFixed(0)}-${percentile(found, 0.75).toFixed(0)}`,
        `${((median(found) * 1e6) / lineBytes / 1e6).toFixed(2)} M`,
        median(ratios).toFixed(1),
      ];
    }),
  );
}

async function makeSides(): Promise<Side[]> {
  const plain = makeLines(blockBytes);
  const objects = repeat(
    '{"level":"info","message":"GET /books/17 200","durationMs":12.5,"user":{"id":4711,"name":"somebody"},"tags":["a","b"],"padding":"............................................................"}\n',
  );
  const copy = Buffer.alloc(blockBytes);
  return [
    { name: 'a copy of the bytes', block: plain, run: (block) => void block.copy(copy) },
    { name: 'JSON.stringify, envelope, 200 bytes', block: plain, run: stringifyLines },
    ...(await formatSides('raw', 'raw, 200 bytes', plain)),
    ...(await formatSides('envelope', 'envelope, 200 bytes', plain)),
    ...(await formatSides('json', 'json, objects of 185 bytes', objects)),
    ...(await formatSides('envelope', 'envelope of the same objects', objects)),
    ...(await formatSides(
      'envelope',
      'envelope, 200 bytes of Cyrillic',
      repeat(`${'Жук '.repeat(28)}\n`),
    )),
    ...(await formatSides('envelope', 'envelope, 20 bytes', repeat('nineteen characters\n'))),
    ...(await formatSides('json', 'json, every line wrapped, 200 bytes', plain)),
  ];
}

async function formatSides(
  format: LineFormat['name'],
  name: string,
  block: Buffer,
): Promise<readonly Side[]> {
  const lineFormat = await createLineFormat(format);
  return [{ name, block, run: (bytes) => formatBlock(lineFormat, bytes) }];
}

function formatBlock(format: LineFormat, block: Buffer): void {
  for (let start = 0; start < block.length; ) {
    const offset = context.offset + start;
    start += format.apply(block, start, { ...context, offset }, limits).consumed;
  }
}

/** What a program does that knows nothing better, with what all lines have in common prepared. */
function stringifyLines(block: Buffer): void {
  const time = new Date(context.timeMs).toISOString();
  const { host, source } = context;
  const messages: string[] = [];
  for (let start = 0; start < block.length; ) {
    const end = block.indexOf(0x0a, start);
    const id = `${context.sourceId}-${context.offset + start}`;
    const message = block.toString('utf8', start, end);
    messages.push(JSON.stringify({ id, time, host, source, message }));
    start = end + 1;
  }
  Buffer.from(`${messages.join('\n')}\n`);
}

/** MB of input for each second of processor time, so that what else the machine does counts little. */
function measure({ block, run }: Side): number {
  const before = process.cpuUsage();
  let byteCount = 0;
  let spentMs = 0;
  while (spentMs < roundMs) {
    run(block);
    byteCount += block.length;
    const { user, system } = process.cpuUsage(before);
    spentMs = (user + system) / 1e3;
  }
  return byteCount / 1e3 / spentMs;
}

function repeat(line: string): Buffer {
  return Buffer.from(line.repeat(Math.floor(blockBytes / Buffer.byteLength(line))));
}

function countLines(block: Buffer): number {
  let count = 0;
  for (const byte of block) count += Number(byte === 0x0a);
  return count;
}
