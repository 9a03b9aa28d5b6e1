import type { Mark, Span } from './ack-ledger.js';
import type { Evidence, Fingerprint } from './identity.js';

/**
 * How far a generation was accepted by the bus, as it is kept in the state under its id. A generation is one life
 * of a file's contents: a rename, a move, or packing does not end it, a truncation does.
 */
export interface Checkpoint extends Evidence, Mark {
  readonly version: 2;
  /** `[A-Za-z0-9_-]{1,64}` */
  readonly id: string;
  /** The path that the file had; for people. */
  readonly path: string;
  /** Accepted parts behind the offset. */
  readonly islands: readonly Span[];
  /** When the file was last modified as far as was seen, in ms since 1970. */
  readonly modifiedMs: number;
  /** Since when its file cannot be found, in ms since 1970. */
  readonly lostMs?: number | undefined;
}

/** A checkpoint of the first version: by device and inode, without a marker. */
interface CheckpointV1 {
  readonly version: 1;
  readonly path: string;
  readonly offset: number;
  readonly head: Fingerprint;
}

export type ReadFrom = 'beginning' | 'end';

/** What a checkpoint is in the state. */
export function formatCheckpoint(checkpoint: Checkpoint): unknown {
  const { islands, ...rest } = checkpoint;
  if (islands.length === 0) return rest;
  return {
    ...rest,
    islands: islands.map(({ from, end }) => [
      from,
      end.offset,
      end.given,
      end.marker.bytes,
      end.marker.crc32,
    ]),
  };
}

/**
 * Reads an entry of the state; `undefined` for what is none. One of version 1 has its `dev:ino` as key, which
 * cannot be an id: it gets the id that is made for it.
 */
export function parseCheckpoint(
  key: string,
  value: unknown,
  createId: () => string,
): Checkpoint | undefined {
  const raw = (value ?? {}) as Partial<Record<keyof Checkpoint, unknown>>;
  if (typeof raw.path !== 'string' || !isByteCount(raw.offset) || !isFingerprint(raw.head)) {
    return undefined;
  }
  if (raw.version === 1) return fromVersion1(key, raw as unknown as CheckpointV1, createId());
  if (raw.version !== 2 || raw.id !== key || !isByteCount(raw.given)) return undefined;
  if (typeof raw.key !== 'string' || !isFingerprint(raw.marker)) return undefined;
  return {
    version: 2,
    id: key,
    path: raw.path,
    key: raw.key,
    born: typeof raw.born === 'string' ? raw.born : undefined,
    offset: raw.offset,
    given: raw.given,
    head: raw.head,
    marker: raw.marker,
    modifiedMs: typeof raw.modifiedMs === 'number' ? raw.modifiedMs : 0,
    islands: Array.isArray(raw.islands) ? raw.islands.flatMap(parseIsland) : [],
    lostMs: typeof raw.lostMs === 'number' ? raw.lostMs : undefined,
  };
}

function fromVersion1(key: string, { path, offset, head }: CheckpointV1, id: string): Checkpoint {
  const marker = { bytes: 0, crc32: 0 };
  const place = { path, offset, given: offset, head, marker, islands: [], modifiedMs: 0 };
  return { version: 2, id, key, ...place };
}

function parseIsland(value: unknown): Span[] {
  if (!Array.isArray(value) || value.length !== 5 || !value.every(isByteCount)) return [];
  const [from, offset, given, bytes, crc32] = value as [number, number, number, number, number];
  return [{ from, end: { offset, given, marker: { bytes, crc32 } } }];
}

function isFingerprint(value: unknown): value is Fingerprint {
  const { bytes, crc32 } = (value ?? {}) as Partial<Fingerprint>;
  return isByteCount(bytes) && isByteCount(crc32);
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
