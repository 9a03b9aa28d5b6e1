import type { Socket } from 'node:net';

/** Takes what a socket receives. */
export interface ByteSink {
  /** Where the next bytes are put; never empty. Asked once before the first bytes and after each `received`. */
  target(): Buffer;
  /**
   * So many bytes were put at the start of the last target.
   *
   * @returns bytes that are not for this sink, when it wants no more; it gets none from then on
   */
  received(byteCount: number): Buffer | undefined;
  /** Called after `received` returned bytes, with these and all that came behind them. */
  left(bytes: Buffer): void;
}

/**
 * Lets a socket that was just accepted put its bytes where a sink says: the system copies them into the
 * buffer of a batch, where the `data` event would bring them in a buffer that is allocated for it. For sockets
 * that a program opens this is `onread` of `net.connect`; those that are accepted have it inside alone, so where
 * the inside looks different the `data` event is used, and the bytes are copied.
 *
 * @returns how the bytes come
 */
export function readInto(
  socket: Socket,
  sink: ByteSink,
  prefer: 'direct' | 'copied' = 'direct',
): 'direct' | 'copied' {
  const inside = prefer === 'direct' ? findInside(socket) : undefined;
  if (inside === undefined) copyInto(socket, sink);
  else readDirectly(socket, sink, inside);
  return inside === undefined ? 'copied' : 'direct';
}

/** What `onread` sets in a socket (`lib/net.js` of Node 20 and 22). */
interface Inside {
  readonly handle: { useUserBuffer(buffer: Buffer): void };
  readonly buffer: symbol;
  readonly nextBuffer: symbol;
  readonly onBytes: symbol;
}

function findInside(socket: Socket): Inside | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Inside['handle']> | null };
  const symbols = new Map(
    Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]),
  );
  const buffer = symbols.get('kBuffer');
  const nextBuffer = symbols.get('kBufferGen');
  const onBytes = symbols.get('kBufferCb');
  if (typeof handle?.useUserBuffer !== 'function') return undefined;
  if (buffer === undefined || nextBuffer === undefined || onBytes === undefined) return undefined;
  return { handle: handle as Inside['handle'], buffer, nextBuffer, onBytes };
}

function readDirectly(socket: Socket, sink: ByteSink, inside: Inside): void {
  let target = sink.target();
  let next = (): Buffer => sink.target();
  const receive = (byteCount: number): void => {
    const rest = sink.received(byteCount);
    if (rest === undefined) return;
    // Node's parser takes the handle over; what comes past it goes the usual way, in a buffer of its own.
    onBytes = (count) => void socket.push(Buffer.from(target.subarray(0, count)));
    next = () => target;
    sink.left(rest);
  };
  let onBytes = receive;
  Object.assign(socket, {
    [inside.buffer]: target,
    [inside.nextBuffer]: () => {
      target = next();
      return target;
    },
    [inside.onBytes]: (byteCount: number) => {
      onBytes(byteCount);
      return true;
    },
  });
  inside.handle.useUserBuffer(target);
  socket.resume();
}

function copyInto(socket: Socket, sink: ByteSink): void {
  const onData = (part: Buffer): void => {
    for (let at = 0; at < part.length; ) {
      const copied = part.copy(sink.target(), 0, at);
      at += copied;
      const rest = sink.received(copied);
      if (rest === undefined) continue;
      socket.off('data', onData);
      sink.left(Buffer.concat([rest, part.subarray(at)]));
      return;
    }
  };
  socket.on('data', onData);
}
