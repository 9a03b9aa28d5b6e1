import type { ServerResponse } from 'node:http';
import type { Context } from 'koa';
import { groupNameDefault, paths } from '../../protocol/http-api.js';
import { longPollMsMax, readBytesDefault, socketIdleMsMax } from '../../protocol/limits.js';
import { checkGroupName, checkNodeName } from '../../protocol/names.js';
import { type DiskFile, hasSystemCode } from '../../storage/disk.js';
import { readFully, writePiece } from '../file-range.js';
import { ownTurn, type Route, refuseWhenStopping, requestEnd } from '../route.js';
import type { ServerPorts } from '../server-ports.js';
import { StreamCursor, type StreamTurn } from '../stream-cursor.js';

const NEWLINE = 0x0a;

/** How many bytes of one owner are sent before it is the next one's turn, give or take a message. */
const turnBytesMax = readBytesDefault;

/** How long a stream may be silent before the system asks whether the client is still there. */
const keepAliveProbeMs = 60_000;

/**
 * `GET /stream`: the messages of all owners as they come, each owner's in order, until the client goes away, the
 * node stops, or nothing has come for `wait_ms`. Nothing is acknowledged or registered by it.
 */
export const streamRoute: Route = {
  path: paths.stream,
  methods: ['GET'],
  right: 'read',
  queryNames: ['category', 'group', 'from', 'owner', 'wait_ms'],
  async handle(context, query, ports, _pass, time) {
    await ownTurn(context);
    time.begin();
    const category = query.required('category');
    const group = checkGroupName(query.optional('group') ?? groupNameDefault);
    const from = query.choice('from', ['earliest', 'latest']);
    const owner = query.optional('owner');
    if (owner !== undefined) checkNodeName(owner);
    const waitMs = query.integerOr(
      'wait_ms',
      { min: 0, max: longPollMsMax },
      Number.POSITIVE_INFINITY,
    );
    const cursor = await StreamCursor.open(ports.store, { category, group, from, owner });
    refuseWhenStopping(ports, true);
    startAnswer(context);
    time.end();
    const end = requestEnd(context, ports.stopping);
    try {
      await sendAll(context, category, cursor, waitMs, end.signal, ports);
    } finally {
      end.release();
    }
    context.res.end();
  },
};

/** The head goes out at once: whoever has seen it gets what is written from then on. */
function startAnswer(context: Context): void {
  const { req, res } = context;
  context.respond = false;
  // The node may stop while the stream runs, and the head can say only now that nothing may follow then.
  res.shouldKeepAlive = false;
  req.socket.setKeepAlive(true, keepAliveProbeMs);
  res.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  res.flushHeaders();
}

/** @param waitMs how long nothing may come before it ends */
async function sendAll(
  context: Context,
  category: string,
  cursor: StreamCursor,
  waitMs: number,
  signal: AbortSignal,
  ports: ServerPorts,
): Promise<void> {
  const { clock } = ports;
  const { socket } = context.req;
  let idleSinceMs = clock.monotonicMs();
  while (!signal.aborted) {
    const turn = cursor.next();
    if (turn !== undefined) {
      // The token may have been withdrawn while the stream ran: nothing is sent on it then.
      ports.access?.check(context.req.headers.authorization, 'read', { category });
      await sendTurn(turn, context.res, ports);
      idleSinceMs = clock.monotonicMs();
      continue;
    }
    const timeoutMs = idleSinceMs + waitMs - clock.monotonicMs();
    if (timeoutMs <= 0) return;
    // Silence is no sign of a client that does not read while there is nothing to be read.
    socket.setTimeout(0);
    await cursor.wait({ clock, signal, ...(Number.isFinite(timeoutMs) ? { timeoutMs } : {}) });
    socket.setTimeout(socketIdleMsMax);
  }
}

/** Sends whole messages, one slab at a time: the next is read when the client has taken the last. */
async function sendTurn(
  { chunk, offset, sentTo, passOver }: StreamTurn,
  response: ServerResponse,
  { store, slabs }: ServerPorts,
): Promise<void> {
  const { size } = chunk;
  const file = await openIfThere(() => store.disk.openFile(chunk.path, 'read'));
  if (file === undefined) {
    passOver();
    return;
  }
  const slab = slabs.take();
  const end = Math.min(size, offset + turnBytesMax);
  let isSlabFree = true;
  try {
    for (let position = offset, isLineStart = true; position < end || !isLineStart; ) {
      const read = slab.subarray(0, Math.min(slab.length, size - position));
      await readFully(file, read, position);
      if (response.destroyed) return;
      const piece = wholeLinesOf(read);
      isLineStart = piece.at(-1) === NEWLINE;
      isSlabFree = await writePiece(response, piece);
      if (!isSlabFree) return;
      position += piece.length;
      sentTo(position);
    }
  } finally {
    if (isSlabFree) slabs.giveBack(slab);
    await file.close();
  }
}

/** The lines that end in the bytes; all of them when none does, because the line goes on in the next slab. */
function wholeLinesOf(bytes: Buffer): Buffer {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return end === 0 ? bytes : bytes.subarray(0, end);
}

/** The file of a chunk may have been removed, after its acknowledgement, since its turn came. */
async function openIfThere(open: () => Promise<DiskFile>): Promise<DiskFile | undefined> {
  try {
    return await open();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
