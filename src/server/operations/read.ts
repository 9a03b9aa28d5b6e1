import { ChukchaError } from '../../protocol/chukcha-error.js';
import { headers } from '../../protocol/http-api.js';
import { longPollMsMax, readBytesDefault, readBytesMax } from '../../protocol/limits.js';
import { checkChunkName } from '../../protocol/names.js';
import type { CategoryTraffic } from '../../storage/category-traffic.js';
import { drainingError } from '../../storage/category-writer.js';
import type { Chunk } from '../../storage/chunk.js';
import { findRangeEnd } from '../../storage/chunk-range.js';
import { hasSystemCode } from '../../storage/disk.js';
import type { OpenFile } from '../../storage/open-files.js';
import type { Query } from '../query.js';
import { microsecondsNow, type TimedRequest } from '../request-time.js';
import type { ServerPorts } from '../server-ports.js';

export const readQueryNames = [
  'category',
  'chunk',
  'off',
  'max_size',
  'wait_ms',
  'min_bytes',
] as const;

/** A range up to this size is read in one go, right behind the room for the head of its answer. */
const smallRangeBytesMax = 64 * 1024;

/** The room in front of a small range, for a head that is sent with it. */
export const headRoomBytes = 1024;

const NEWLINE = 0x0a;

/** What a read asks for. */
export interface ReadCall {
  readonly categoryName: string;
  readonly chunkName: string;
  readonly offset: number;
  readonly byteCountMax: number;
  readonly waitMs: number;
  readonly byteCountMin: number;
}

/** Whole messages of a chunk, ready to be sent; release it when they were. */
export interface MessageRange {
  readonly chunk: Chunk;
  readonly state: 'open' | 'sealed';
  /** The bytes of the chunk when the range was made. */
  readonly size: number;
  readonly offset: number;
  readonly end: number;
  /** Where the bytes are: nowhere when there are none, in memory behind the room for a head, or in the file. */
  readonly content:
    | { readonly kind: 'none' }
    | { readonly kind: 'memory'; readonly slab: Buffer }
    | { readonly kind: 'file'; readonly file: OpenFile };
  /** @param slabIsFree false when the connection broke with the slab under way, so that it is not used again */
  release(slabIsFree?: boolean): void;
}

/** Reads what a read asks for. Throws `invalid_request` or `invalid_name`. */
export function parseRead(query: Query): ReadCall {
  const categoryName = query.required('category');
  const chunkName = query.required('chunk');
  const offset = query.integerOr('off', { min: 0, max: Number.MAX_SAFE_INTEGER }, 0);
  const byteCountMax = query.integerOr('max_size', { min: 1, max: readBytesMax }, readBytesDefault);
  const waitMs = query.integerOr('wait_ms', { min: 0, max: longPollMsMax }, 0);
  const byteCountMin = query.integerOr('min_bytes', { min: 1, max: byteCountMax }, 1);
  return { categoryName, chunkName, offset, byteCountMax, waitMs, byteCountMin };
}

/**
 * Finds the messages that a read asks for: at least one whole message when there is one, and none when there
 * are no more now. Waits for them when the call says so; the signal ends the wait.
 *
 * @param timed what begins anew when it was held
 *
 * Throws `invalid_name`, `chunk_not_found` with the state of the chunk, `offset_out_of_range`, or `draining`
 * when the node stops and there is nothing to tell.
 */
export async function openRange(
  call: ReadCall,
  ports: ServerPorts,
  signal: AbortSignal,
  timed?: TimedRequest,
): Promise<MessageRange> {
  const { chunk, traffic } = await findChunk(call, ports);
  if (call.waitMs > 0) await waitForBytes(call, chunk, ports, signal, timed);
  const { size } = chunk;
  const { offset } = call;
  if (offset > size) throw offsetOutOfRange(chunk, offset);
  const state = chunk.state === 'open' ? 'open' : 'sealed';
  const base = { chunk, state, size, offset } as const;
  if (offset === size) {
    return { ...base, end: size, content: { kind: 'none' }, release: () => undefined };
  }
  const file = await acquireFile(call, ports, chunk);
  try {
    const small = await readSmallRange(call, file, size, ports);
    if (small !== undefined) {
      ports.files.release(file);
      traffic.readBytes += small.end - offset;
      return { ...base, ...small };
    }
    const end = await findRangeEnd(file, size, offset, call.byteCountMax);
    traffic.readBytes += end - offset;
    return {
      ...base,
      end,
      content: { kind: 'file', file },
      release: () => ports.files.release(file),
    };
  } catch (error) {
    ports.files.release(file);
    throw error;
  }
}

/** The headers that tell a reader where it is. */
export function rangeHeaders(range: MessageRange): Record<string, string | number> {
  return {
    'Content-Type': 'application/octet-stream',
    'Content-Length': range.end - range.offset,
    [headers.chunkState]: range.state,
    [headers.chunkSize]: range.size,
    [headers.nextOffset]: range.end,
    [headers.owner]: range.chunk.owner,
    [headers.lag]: range.size - range.end,
  };
}

async function findChunk(
  { categoryName, chunkName }: ReadCall,
  { store }: ServerPorts,
): Promise<{ readonly chunk: Chunk; readonly traffic: CategoryTraffic }> {
  const category = await store.knownCategory(categoryName);
  const name = checkChunkName(chunkName);
  const chunk = category?.view.chunk(chunkName);
  if (category !== undefined && chunk !== undefined) return { chunk, traffic: category.traffic };
  throw chunkNotFound(categoryName, chunkName, category?.view.chunkState(name) ?? 'pending');
}

/** Holds the call until the chunk has enough bytes or cannot grow, or the time is over. */
async function waitForBytes(
  { offset, waitMs, byteCountMin }: ReadCall,
  chunk: Chunk,
  { clock, stopping }: ServerPorts,
  signal: AbortSignal,
  timed: TimedRequest | undefined,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + waitMs;
  while (chunk.state === 'open' && chunk.size < offset + byteCountMin && !signal.aborted) {
    const timeoutMs = deadlineMs - clock.monotonicMs();
    if (timeoutMs <= 0) break;
    await chunk.changed.wait({ clock, timeoutMs, signal });
    if (timed !== undefined) timed.begunAt = microsecondsNow(clock);
  }
  // An empty answer would make the client ask again at once, and again.
  if (stopping.aborted && chunk.state === 'open' && chunk.size <= offset) throw drainingError();
}

/** The chunk may have been acknowledged, and its file removed, since it was looked up. */
async function acquireFile(
  { categoryName }: ReadCall,
  { files }: ServerPorts,
  chunk: Chunk,
): Promise<OpenFile> {
  try {
    return await files.acquire(chunk);
  } catch (error) {
    if (!hasSystemCode(error, 'ENOENT')) throw error;
    throw chunkNotFound(categoryName, chunk.name, chunk.state === 'removed' ? 'acked' : 'pending');
  }
}

/** Reads a small range without a probe for its end; `undefined` when it is larger, or a message in it is. */
async function readSmallRange(
  { offset, byteCountMax }: ReadCall,
  file: OpenFile,
  size: number,
  { slabs }: ServerPorts,
): Promise<Pick<MessageRange, 'end' | 'content' | 'release'> | undefined> {
  const wantedBytes = Math.min(byteCountMax, size - offset);
  if (wantedBytes > smallRangeBytesMax) return undefined;
  const slab = slabs.take();
  const bytes = slab.subarray(headRoomBytes, headRoomBytes + wantedBytes);
  const release = (slabIsFree = true): void => {
    if (slabIsFree) slabs.giveBack(slab);
  };
  let byteCount = 0;
  try {
    if ((await file.read(bytes, offset)) === wantedBytes) {
      byteCount = offset + wantedBytes === size ? wantedBytes : bytes.lastIndexOf(NEWLINE) + 1;
    }
  } finally {
    if (byteCount === 0) release();
  }
  if (byteCount === 0) return undefined;
  return { end: offset + byteCount, content: { kind: 'memory', slab }, release };
}

function chunkNotFound(categoryName: string, chunkName: string, state: string): ChukchaError {
  return new ChukchaError(
    'chunk_not_found',
    `Chunk ${chunkName} of category ${categoryName} is not on this node: it is not here yet, or was acknowledged; /listChunks shows what there is.`,
    { fields: { category: categoryName, chunk: chunkName, state } },
  );
}

function offsetOutOfRange(chunk: Chunk, offset: number): ChukchaError {
  return new ChukchaError(
    'offset_out_of_range',
    `Offset ${offset} lies beyond the ${chunk.size} bytes of chunk ${chunk.name}: read from an offset that an answer gave.`,
    { fields: { chunk: chunk.name, size: chunk.size } },
  );
}
