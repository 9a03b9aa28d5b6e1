import type { Client } from '../client/client.js';
import { decideRetry, type RetryListener } from '../client/decide-retry.js';
import { retryOnNodes } from '../client/retry-on-nodes.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import type { RetryDecision } from '../common/retry.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import { readBytesMax } from '../protocol/limits.js';
import type { CutRange } from './sink-record.js';

export interface RangeReaderOptions {
  readonly category: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly onRetry: RetryListener | undefined;
  readonly giveUpAfterMs: number | undefined;
}

/**
 * Reads a range of a chunk again that was cut in an earlier run. Resolves with `undefined` when the chunk is not there any
 * more because every group has acknowledged it or it has expired. Throws `invalid_response` for a range that is not whole
 * messages there.
 */
export async function readRange(
  client: Client,
  { chunk, from, to }: CutRange,
  options: RangeReaderOptions,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { category, ...trying } = options;
  const pieces: Buffer[] = [];
  for (let offset = from; offset < to; ) {
    const byteCountMax = Math.min(to - offset, readBytesMax);
    let bytes: Buffer;
    try {
      bytes = await retryOnNodes(
        client,
        async () => {
          const answer = await client.read(category, { chunk, offset, byteCountMax, signal });
          if (answer.bytes.length > 0) return answer.bytes;
          throw behindError(chunk, offset, answer.chunkSize);
        },
        { ...trying, decide, signal },
      );
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
    pieces.push(bytes);
    offset += bytes.length;
    if (offset > to) throw strangeRange(chunk, from, to);
  }
  return Buffer.concat(pieces);
}

/** A node that lags behind gets the chunk sooner or later. */
function decide(error: unknown): RetryDecision {
  const isBehind =
    errorCode(error) === 'chunk_not_found' || errorCode(error) === 'offset_out_of_range';
  return isBehind && !isGone(error) ? 'back off' : decideRetry(error);
}

function isGone(error: unknown): boolean {
  return error instanceof ChukchaError && error.fields['chunkState'] === 'acked';
}

function behindError(chunk: string, offset: number, size: number): ChukchaError {
  return new ChukchaError(
    'chunk_not_found',
    `The node has only ${size} bytes of chunk ${chunk}, and what stands at ${offset} is to be delivered again: look whether the nodes reach each other.`,
  );
}

function strangeRange(chunk: string, from: number, to: number): ChukchaError {
  return new ChukchaError(
    'invalid_response',
    `Bytes ${from} to ${to} of chunk ${chunk} were delivered before, but are not whole messages now: remove the state directory to read everything again.`,
  );
}
