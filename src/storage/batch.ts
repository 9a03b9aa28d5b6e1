import type { ProducerStamp } from '../protocol/http-api.js';

/** Whole messages that are stored together or not at all. */
export interface Batch {
  /** The bytes must not change until the batch is answered. */
  readonly pieces: readonly Uint8Array[];
  /** The bytes of all pieces. */
  readonly byteCount: number;
  /** Whether it is answered only when the bytes and the chunk's name are durable. */
  readonly sync: boolean;
  readonly stamp?: ProducerStamp | undefined;
}

/** Where a batch is stored. */
export interface Appended {
  /** `null` for a duplicate whose first copy was acknowledged and removed, or is too old to be looked up. */
  readonly chunk: string | null;
  /** Where the batch starts in the chunk; `null` when the chunk is. */
  readonly offset: number | null;
  /** The bytes of the batch. */
  readonly size: number;
  /** Whether the batch was stored before, under the same stamp, and not again. */
  readonly duplicate: boolean;
}

/** A batch on its way; exactly one of the two methods is called, once, and must not throw. */
export interface Submission extends Batch {
  stored(appended: Appended): void;
  failed(error: unknown): void;
}
