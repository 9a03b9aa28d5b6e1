import { crc32 } from '../common/crc32.js';
import { ChukchaError, errorMessage } from './chukcha-error.js';
import { frameHeadBytes, frameKinds, invalidFrame, writeFrameHead } from './frames.js';
import { type ChunkName, checkCategoryName, checkChunkName, formatChunkName } from './names.js';

/*
 * What nodes say to each other on a replication stream; `docs/replication.md` describes it. The replica opens
 * the stream to the source. Lists travel as JSON, messages as they are.
 */

/** The path on which a replica opens a stream. */
export const replicationPath = '/replication/stream';

/** The names of the parameters with which a replica says who it is. */
export const replicationQueryNames = ['cluster', 'node', 'directory', 'boot', 'epoch'] as const;

/** Who opens a stream. */
export interface ReplicaHello {
  readonly cluster: string;
  readonly node: string;
  /** The id of the node's data directory. */
  readonly directory: string;
  /** Made anew at every start. */
  readonly boot: string;
  readonly epoch: number;
}

/** Entries of a list in one frame; some 40 bytes each, so that a frame stays below 64 KiB. */
export const listedCountMax = 1_000;

/** What a replica has of the source's own chunks of a category: index, bytes, and whether it is sealed. */
export interface HaveMessage {
  readonly category: string;
  readonly chunks: readonly (readonly [index: number, size: number, sealed: boolean])[];
}

/** A chunk that a node holds. */
export interface HeldChunk {
  readonly size: number;
  /** The CRC-32 of its bytes; `null` while that is not known. */
  readonly crc: number | null;
  readonly sealed: boolean;
}

/** What the source holds of other nodes' chunks, and of its own that may not be whole; `null` for what is gone. */
export interface InventoryMessage {
  readonly category: string;
  readonly chunks: readonly (readonly [chunk: string, held: HeldChunk | null])[];
}

/** What the source knows of the groups of a category; `groups` and `expired` as in `groups.json`. */
export interface AcksMessage {
  readonly category: string;
  readonly groups: unknown;
  readonly expired: unknown;
  readonly sizes: unknown;
  /** The number of the source's next size; the replica repeats it when it has taken all of this. */
  readonly next: number;
}

/** A chunk of a category, as the name of a frame. */
export interface ChunkPlace {
  readonly category: string;
  readonly chunk: ChunkName;
}

export function formatPlace({ category, chunk }: ChunkPlace): string {
  return `${category}/${formatChunkName(chunk)}`;
}

/** Throws `invalid_name`. */
export function parsePlace(text: string): ChunkPlace {
  const slash = text.indexOf('/');
  return {
    category: checkCategoryName(text.slice(0, Math.max(0, slash))),
    chunk: checkChunkName(text.slice(slash + 1)),
  };
}

/** In front of the lines of a part: their length and their CRC-32, four bytes each. */
const partHeadBytes = 8;

export interface PartHead {
  readonly place: string;
  readonly flags: number;
  /** Where the first batch starts in the chunk. */
  readonly offset: number;
  /** The lines of the index that describe the batches. */
  readonly lines: Buffer;
  /** The bytes of the batches, which follow the head. */
  readonly byteCount: number;
}

/** Everything of a part in front of its messages. */
export function encodePartHead({ place, flags, offset, lines, byteCount }: PartHead): Buffer {
  const headBytes = frameHeadBytes + place.length + partHeadBytes + lines.length;
  const head = Buffer.allocUnsafe(headBytes);
  writeFrameHead(head, 0, {
    kind: frameKinds.part,
    flags,
    nameBytes: place.length,
    payloadBytes: headBytes - frameHeadBytes + byteCount,
    number: 0,
    offset,
  });
  head.write(place, frameHeadBytes, 'latin1');
  const at = frameHeadBytes + place.length;
  head.writeUInt32BE(lines.length, at);
  head.writeUInt32BE(crc32(lines), at + 4);
  lines.copy(head, at + partHeadBytes);
  return head;
}

/** Takes what follows the name of a part apart. Throws `invalid_frame`. */
export function decodePart(content: Buffer): { readonly lines: Buffer; readonly bytes: Buffer } {
  if (content.length < partHeadBytes) throw invalidFrame('a part of messages is cut off');
  const linesEnd = partHeadBytes + content.readUInt32BE(0);
  const lines = content.subarray(partHeadBytes, linesEnd);
  if (linesEnd > content.length || crc32(lines) !== content.readUInt32BE(4)) {
    throw invalidFrame('the description of a part of messages is not what was sent');
  }
  return { lines, bytes: content.subarray(linesEnd) };
}

/** Reads the JSON of a frame. Throws `invalid_frame`. */
export function parseMessage<T extends { readonly category: string }>(
  payload: Buffer,
  check: (message: T) => boolean,
): T {
  try {
    const message = JSON.parse(payload.toString('latin1')) as T;
    checkCategoryName(message.category);
    if (check(message)) return message;
  } catch (cause) {
    throw cause instanceof ChukchaError ? cause : invalidFrame(errorMessage(cause));
  }
  throw invalidFrame('a list is not in its form');
}

export function isHaveMessage({ chunks }: HaveMessage): boolean {
  return (
    Array.isArray(chunks) &&
    chunks.every(
      ([index, size, sealed]) => isCount(index) && isCount(size) && typeof sealed === 'boolean',
    )
  );
}

export function isInventoryMessage({ chunks }: InventoryMessage): boolean {
  return (
    Array.isArray(chunks) &&
    chunks.every(
      ([chunk, held]) =>
        typeof chunk === 'string' &&
        (held === null ||
          (isCount(held.size) &&
            (held.crc === null || isCount(held.crc)) &&
            typeof held.sealed === 'boolean')),
    )
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
