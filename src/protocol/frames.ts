import { ChukchaError } from './chukcha-error.js';
import { batchBytesMaxDefault } from './limits.js';

/** What a client asks for in the `Upgrade` header, and a node confirms. */
export const streamProtocol = 'chukcha/1';

/**
 * The kinds of frames; `docs/streams.md` says who sends which, and what their fields mean.
 */
export const frameKinds = {
  heartbeat: 0,
  batch: 1,
  stored: 2,
  refused: 3,
  start: 4,
  credit: 5,
  data: 6,
  sealed: 7,
  gone: 8,
  ack: 9,
  acked: 10,
  draining: 11,

  // Between nodes; `docs/replication.md` describes these.
  have: 16,
  haveEnd: 17,
  position: 18,
  want: 19,
  pause: 20,
  acksTaken: 21,
  part: 24,
  seal: 25,
  inventory: 26,
  inventoryEnd: 27,
  caughtUp: 28,
  served: 29,
  acks: 30,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

export const frameFlags = {
  /** With `batch`: answer when it is durable. */
  sync: 1,
  /** With `stored`: it was stored before, and not again. */
  duplicate: 1,
  /** With `stored`: the first copy is gone, so it has no place. */
  noPlace: 2,
  /** With `refused`: the stream ends with it. */
  last: 1,
  /** With `part`: say when it is durable. */
  durable: 1,
  /** With `position`: go on there, whatever was sent behind it. */
  rewind: 1,
  /** With `served`: the node has no such chunk. */
  absent: 1,
} as const;

/** The head of a frame. */
export const frameHeadBytes = 24;

/** A frame is a head, the name of a chunk, and bytes; what a kind does not use is 0 or empty. */
export interface FrameHead {
  readonly kind: FrameKind;
  readonly flags: number;
  /** The bytes of the name. */
  readonly nameBytes: number;
  /** The bytes behind the head, with the name. */
  readonly payloadBytes: number;
  readonly number: number;
  readonly offset: number;
}

/** The most that a frame may say to have, whoever sends it; a node takes no batch above its own limit. */
const framePayloadBytesMax = 16 * batchBytesMaxDefault;

const kindMax = Math.max(...Object.values(frameKinds));
const two32 = 2 ** 32;

/** Writes a head; all numbers are big-endian and unsigned. */
export function writeFrameHead(buffer: Buffer, at: number, head: FrameHead): void {
  buffer.writeUInt32BE(head.payloadBytes, at);
  buffer[at + 4] = head.kind;
  buffer[at + 5] = head.flags;
  buffer.writeUInt16BE(head.nameBytes, at + 6);
  writeUInt64(buffer, at + 8, head.number);
  writeUInt64(buffer, at + 16, head.offset);
}

/** Reads a head. Throws `invalid_frame`: what follows cannot be understood then. */
export function readFrameHead(buffer: Buffer, at: number): FrameHead {
  const head = {
    payloadBytes: buffer.readUInt32BE(at),
    kind: buffer[at + 4] as FrameKind,
    flags: buffer[at + 5] as number,
    nameBytes: buffer.readUInt16BE(at + 6),
    number: readUInt64(buffer, at + 8),
    offset: readUInt64(buffer, at + 16),
  };
  if (head.kind > kindMax) throw invalidFrame(`kind ${head.kind} is not known`);
  if (head.payloadBytes > framePayloadBytesMax) {
    throw invalidFrame(`${head.payloadBytes} bytes are more than ${framePayloadBytesMax}`);
  }
  if (head.nameBytes > head.payloadBytes) {
    throw invalidFrame(`a name of ${head.nameBytes} bytes in ${head.payloadBytes}`);
  }
  if (!Number.isSafeInteger(head.number) || !Number.isSafeInteger(head.offset)) {
    throw invalidFrame('a number is above 9007199254740991');
  }
  return head;
}

/** What a frame may have besides its kind. */
export interface FrameContent {
  readonly flags?: number;
  readonly name?: string;
  readonly number?: number;
  readonly offset?: number;
  /** In ASCII. */
  readonly text?: string;
}

/** A whole small frame. */
export function encodeFrame(kind: FrameKind, content: FrameContent = {}): Buffer {
  const { flags = 0, name = '', number = 0, offset = 0, text = '' } = content;
  const payloadBytes = name.length + text.length;
  const frame = Buffer.allocUnsafe(frameHeadBytes + payloadBytes);
  const nameBytes = name.length;
  writeFrameHead(frame, 0, { kind, flags, nameBytes, payloadBytes, number, offset });
  frame.write(name + text, frameHeadBytes, 'latin1');
  return frame;
}

/** The head and the name of a `data` frame, before so many bytes of messages. */
export function encodeDataHead(chunkName: string, offset: number, byteCount: number): Buffer {
  const head = Buffer.allocUnsafe(frameHeadBytes + chunkName.length);
  writeFrameHead(head, 0, {
    kind: frameKinds.data,
    flags: 0,
    nameBytes: chunkName.length,
    payloadBytes: chunkName.length + byteCount,
    number: 0,
    offset,
  });
  head.write(chunkName, frameHeadBytes, 'latin1');
  return head;
}

export function invalidFrame(reason: string): ChukchaError {
  return new ChukchaError(
    'invalid_frame',
    `A frame of the stream is not valid (${reason}): expected what docs/streams.md describes; the stream ends.`,
  );
}

function writeUInt64(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32BE(Math.floor(value / two32), at);
  buffer.writeUInt32BE(value % two32, at + 4);
}

function readUInt64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * two32 + buffer.readUInt32BE(at + 4);
}
