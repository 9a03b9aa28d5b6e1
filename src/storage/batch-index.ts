import { combineCrc32, formatCrc32 } from '../common/crc32.js';
import type { ProducerStamp } from '../protocol/http-api.js';

/** What the index of a chunk says of one batch. */
export interface BatchRecord {
  /** Where the batch starts in the chunk. */
  readonly offset: number;
  readonly byteCount: number;
  /** The CRC-32 of its bytes. */
  readonly crc: number;
  readonly stamp?: ProducerStamp | undefined;
}

/** What the index of a chunk says when the chunk is sealed and durable. */
export interface SealRecord {
  readonly size: number;
  /** The CRC-32 of all bytes of the chunk. */
  readonly crc: number;
  /** When it was sealed, by the wall clock of its owner, in milliseconds since 1970. */
  readonly sealedAtMs: number;
}

/** The readable part of an index. */
export interface BatchIndex {
  /** Each starts where the one before ends, the first at 0. */
  readonly records: readonly BatchRecord[];
  readonly seal: SealRecord | undefined;
  /** Whether a whole line cannot be read, or does not follow from those before; a torn write leaves no such line. */
  readonly isDamaged: boolean;
  /** What can be read behind the damage, to be believed only where the bytes of the chunk agree. */
  readonly behindDamage: readonly BatchRecord[];
}

/** The first line of an index; another version is another line. */
export const indexHeader = 'chukcha-batches 1\n';

/** One form for each number, so that a line that was read has the length of the one that would be written. */
const number = '(0|[1-9][0-9]{0,15})';
const recordPattern = new RegExp(
  `^${number} ${number} ([0-9a-f]{8})(?: ([A-Za-z0-9_-]{1,64}) ${number})?$`,
);
const sealPattern = new RegExp(`^sealed ${number} ([0-9a-f]{8}) ${number}$`);

/** A seal line is shorter than this: three numbers and a word. */
export const sealLineBytesMax = 64;

export function formatRecord({ offset, byteCount, crc, stamp }: BatchRecord): string {
  const place = `${offset} ${byteCount} ${formatCrc32(crc)}`;
  return stamp === undefined ? `${place}\n` : `${place} ${stamp.producer} ${stamp.sequence}\n`;
}

export function formatSeal({ size, crc, sealedAtMs }: SealRecord): string {
  return `sealed ${size} ${formatCrc32(crc)} ${sealedAtMs}\n`;
}

/** A whole index. */
export function formatIndex(records: readonly BatchRecord[], seal?: SealRecord): string {
  const lines = indexHeader + records.map(formatRecord).join('');
  return seal === undefined ? lines : lines + formatSeal(seal);
}

/** Reads an index up to the first line that is torn, damaged, or does not follow from the one before. */
export function parseIndex(content: Buffer): BatchIndex {
  const lines = content.toString('latin1').split('\n');
  // Behind the last newline there is nothing, or the torn end of a write.
  lines.pop();
  const records: BatchRecord[] = [];
  let size = 0;
  let readCount = 0;
  if (`${lines[0]}\n` === indexHeader) {
    for (readCount = 1; readCount < lines.length; readCount += 1) {
      const record = parseRecord(lines[readCount] ?? '');
      if (record?.offset !== size || record.byteCount === 0) break;
      records.push(record);
      size += record.byteCount;
    }
  }
  const rest = lines.slice(readCount);
  const seal = readCount === 0 ? undefined : parseSeal(rest[0] ?? '');
  if (seal?.size === size && seal.crc === crcOfRecords(records)) {
    return { records, seal, isDamaged: false, behindDamage: [] };
  }
  const behindDamage = rest.flatMap((line) => parseRecord(line) ?? []);
  return { records, seal: undefined, isDamaged: rest.length > 0, behindDamage };
}

/** Reads lines that describe batches, one after another. Throws an `Error` when one is no such line. */
export function parseRecords(lines: string): BatchRecord[] {
  const records: BatchRecord[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\n', at);
    const record = end === -1 ? undefined : parseRecord(lines.slice(at, end));
    if (record === undefined || record.byteCount === 0) {
      throw new Error(`${JSON.stringify(lines.slice(at, at + 40))} describes no batch`);
    }
    records.push(record);
    at = end + 1;
  }
  return records;
}

/** Reads the seal from the last bytes of an index, without looking at the batches. */
export function parseSealAtEnd(tail: Buffer): SealRecord | undefined {
  const text = tail.toString('latin1');
  if (!text.endsWith('\n')) return undefined;
  return parseSeal(text.slice(text.lastIndexOf('\n', text.length - 2) + 1, -1));
}

/** The CRC-32 of the batches taken as one. */
export function crcOfRecords(records: readonly BatchRecord[]): number {
  return records.reduce((crc, record) => combineCrc32(crc, record.crc, record.byteCount), 0);
}

function parseRecord(line: string): BatchRecord | undefined {
  const match = recordPattern.exec(line);
  if (match === null) return undefined;
  const [, offset, byteCount, crc = '', producer, sequence] = match;
  return {
    offset: Number(offset),
    byteCount: Number(byteCount),
    crc: Number.parseInt(crc, 16),
    stamp: producer === undefined ? undefined : { producer, sequence: Number(sequence) },
  };
}

function parseSeal(line: string): SealRecord | undefined {
  const match = sealPattern.exec(line);
  if (match === null) return undefined;
  const [, size, crc = '', sealedAtMs] = match;
  return { size: Number(size), crc: Number.parseInt(crc, 16), sealedAtMs: Number(sealedAtMs) };
}
