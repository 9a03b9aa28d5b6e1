import { randomBytes } from 'node:crypto';
import { crc32, crc32OfPieces, formatCrc32 } from '../common/crc32.js';
import type { SeededRandom } from '../common/seeded-random.js';

const NEWLINE = 0x0a;

/** The sizes of batches and of lines are spread evenly by their logarithm, so that small ones come as often. */
const batchBytesMax = 100 * 1024;
const payloadBytesMax = 2_000;

/** `crc `, of all that follows it. */
const crcFieldBytes = 9;
/** The five fields in front of the payload are never longer. */
const fieldsBytesMax = 80;

/** Any bytes but a newline: messages are bytes, and nobody may look at them. */
const payloadPool = randomBytes(64 * 1024).map((byte) => (byte === NEWLINE ? 0 : byte));

/** What a line says about itself: `crc writer batch line lineCount payload`. */
export interface LineFields {
  /** `writer batch`. */
  readonly key: string;
  readonly line: number;
  readonly lineCount: number;
}

/** A batch of 1 line to about 100 KiB; its lines are like no other ones. */
export function makeBatch(key: string, random: SeededRandom): { bytes: Buffer; lineCount: number } {
  const payloads: Uint8Array[] = [];
  const wantedBytes = spread(random, batchBytesMax);
  for (let byteCount = 0; byteCount < wantedBytes; ) {
    const start = random.integer(0, payloadPool.length - payloadBytesMax);
    const payload = payloadPool.subarray(start, start + spread(random, payloadBytesMax) - 1);
    byteCount += payload.length + fieldsBytesMax / 2;
    payloads.push(payload);
  }
  const pieces = payloads.flatMap((payload, line) => {
    const fields = Buffer.from(`${key} ${line} ${payloads.length} `, 'latin1');
    const crc = Buffer.from(`${formatCrc32(crc32OfPieces([fields, payload]))} `, 'latin1');
    return [crc, fields, payload, Buffer.of(NEWLINE)];
  });
  return { bytes: Buffer.concat(pieces), lineCount: payloads.length };
}

/** Reads a line without its newline; `undefined` for one that no writer has made. */
export function parseLine(line: Buffer): LineFields | undefined {
  const [crc, writer, batch, index, lineCount] = startOf(line).split(' ', 5);
  if (crc !== formatCrc32(crc32(line.subarray(crcFieldBytes)))) return undefined;
  return { key: `${writer} ${batch}`, line: Number(index), lineCount: Number(lineCount) };
}

/** The start of a line, to show what it is. */
export function startOf(line: Buffer): string {
  return line.toString('latin1', 0, fieldsBytesMax);
}

function spread(random: SeededRandom, max: number): number {
  return Math.floor(max ** random.fraction());
}
