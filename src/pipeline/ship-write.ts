import { countNewlines, type InputBatch } from '@chukcha/plugin-api';
import type { ProducerStamp } from '../protocol/http-api.js';
import type { ShipIntent } from './ship-intent.js';

/** A piece of a batch that goes with a write. */
export interface WritePart {
  readonly batch: InputBatch;
  readonly from: number;
  readonly to: number;
}

/** One write to the bus, made of what an input has given. */
export interface ShipWrite {
  readonly parts: readonly WritePart[];
  /** What is sent. */
  readonly pieces: readonly Uint8Array[];
  readonly stamp: ProducerStamp;
  /** What is remembered before it is sent; `undefined` when the input cannot give the same bytes again. */
  readonly intent: ShipIntent | undefined;
  /** Whether an earlier run may have sent it. */
  readonly isRepeated: boolean;
}

/** How many bytes of batches the write is made of. */
export function sourceBytesOf({ parts }: ShipWrite): number {
  return parts.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** How many messages of batches the write is made of. */
export function messageCountOf({ parts }: ShipWrite): number {
  return parts.reduce((sum, { batch, from, to }) => {
    return sum + countNewlines(batch.bytes.subarray(from, to));
  }, 0);
}
