import type { Context } from 'koa';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { headers, paths } from '../../protocol/http-api.js';
import { longPollMsMax, readBytesDefault, readBytesMax } from '../../protocol/limits.js';
import { checkChunkName } from '../../protocol/names.js';
import type { Category } from '../../storage/category.js';
import type { Chunk } from '../../storage/chunk.js';
import { findRangeEnd } from '../../storage/chunk-range.js';
import { type DiskFile, hasSystemCode } from '../../storage/disk.js';
import { sendFileRange } from '../file-range.js';
import { type Route, refuseWhenStopping, requestEnd } from '../route.js';
import type { ServerPorts } from '../server-ports.js';

/**
 * `GET /read`: whole messages of one chunk, from an offset on. An empty 200 means that there are no more
 * now; the state header says whether there can be more later.
 */
export const readRoute: Route = {
  path: paths.read,
  methods: ['GET'],
  queryNames: ['category', 'chunk', 'off', 'max_size', 'wait_ms', 'min_bytes'],
  async handle(context, query, ports) {
    const categoryName = query.required('category');
    const chunkName = query.required('chunk');
    const offset = query.integerOr('off', { min: 0, max: Number.MAX_SAFE_INTEGER }, 0);
    const byteCountMax = query.integerOr(
      'max_size',
      { min: 1, max: readBytesMax },
      readBytesDefault,
    );
    const waitMs = query.integerOr('wait_ms', { min: 0, max: longPollMsMax }, 0);
    const byteCountMin = query.integerOr('min_bytes', { min: 1, max: byteCountMax }, 1);
    const category = await ports.store.knownCategory(categoryName);
    const chunk = findChunk(context, category, categoryName, chunkName);
    if (waitMs > 0) {
      await waitForBytes(context, chunk, offset + byteCountMin, waitMs, ports);
      refuseWhenStopping(ports, chunk.state === 'open' && chunk.size <= offset);
    }
    if (offset > chunk.size) throw offsetOutOfRange(chunk, offset);
    await sendMessages(context, categoryName, chunk, { offset, byteCountMax }, ports);
  },
};

function findChunk(
  context: Context,
  category: Category | undefined,
  categoryName: string,
  chunkName: string,
): Chunk {
  const name = checkChunkName(chunkName);
  const chunk = category?.chunk(chunkName);
  if (chunk !== undefined) return chunk;
  context.set(headers.chunkState, category?.chunkState(name) ?? 'pending');
  throw chunkNotFound(categoryName, chunkName);
}

/** Holds the request until the chunk has `size` bytes or cannot grow, or the time is over. */
async function waitForBytes(
  context: Context,
  chunk: Chunk,
  size: number,
  waitMs: number,
  ports: ServerPorts,
): Promise<void> {
  const { clock, stopping } = ports;
  const deadlineMs = clock.monotonicMs() + waitMs;
  const end = requestEnd(context, stopping);
  try {
    while (chunk.state === 'open' && chunk.size < size && !end.signal.aborted) {
      const timeoutMs = deadlineMs - clock.monotonicMs();
      if (timeoutMs <= 0) return;
      await chunk.changed.wait({ clock, timeoutMs, signal: end.signal });
    }
  } finally {
    end.release();
  }
}

async function sendMessages(
  context: Context,
  categoryName: string,
  chunk: Chunk,
  { offset, byteCountMax }: { readonly offset: number; readonly byteCountMax: number },
  ports: ServerPorts,
): Promise<void> {
  const { size, state } = chunk;
  if (offset === size) {
    sendHead(context, chunk, state, 0, size);
    context.res.end();
    return;
  }
  const file = await openChunk(context, ports, categoryName, chunk);
  try {
    const end = await findRangeEnd(file, size, offset, byteCountMax);
    sendHead(context, chunk, state, end - offset, end);
    await sendFileRange(file, offset, end, context.res, ports.slabs);
  } finally {
    await file.close();
  }
}

function sendHead(
  context: Context,
  chunk: Chunk,
  state: Chunk['state'],
  byteCount: number,
  nextOffset: number,
): void {
  context.respond = false;
  context.res.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': byteCount,
    [headers.chunkState]: state === 'open' ? 'open' : 'sealed',
    [headers.chunkSize]: chunk.size,
    [headers.nextOffset]: nextOffset,
  });
}

/** The chunk may have been acknowledged, and its file removed, since it was looked up. */
async function openChunk(
  context: Context,
  { store }: ServerPorts,
  categoryName: string,
  chunk: Chunk,
): Promise<DiskFile> {
  try {
    return await store.disk.openFile(chunk.path, 'read');
  } catch (error) {
    if (!hasSystemCode(error, 'ENOENT')) throw error;
    context.set(headers.chunkState, chunk.state === 'removed' ? 'acked' : 'pending');
    throw chunkNotFound(categoryName, chunk.name);
  }
}

function chunkNotFound(categoryName: string, chunkName: string): ChukchaError {
  return new ChukchaError(
    'chunk_not_found',
    `Chunk ${chunkName} of category ${categoryName} is not on this node: it is not here yet, or was acknowledged; /listChunks shows what there is.`,
    { fields: { category: categoryName, chunk: chunkName } },
  );
}

function offsetOutOfRange(chunk: Chunk, offset: number): ChukchaError {
  return new ChukchaError(
    'offset_out_of_range',
    `Offset ${offset} lies beyond the ${chunk.size} bytes of chunk ${chunk.name}: read from an offset that an answer gave.`,
    { fields: { chunk: chunk.name, size: chunk.size } },
  );
}
