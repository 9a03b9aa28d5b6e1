import { checkBatch } from '../../protocol/batch-check.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { headers, type ProducerStamp, type WriteReceipt } from '../../protocol/http-api.js';
import { checkCategoryName, checkProducerName } from '../../protocol/names.js';
import type { Appended, Submission } from '../../storage/batch.js';
import type { Store } from '../../storage/store.js';
import { checkInteger, type Query } from '../query.js';

export const writeQueryNames = ['category', 'min_sync_replicas', 'sync_each_write'] as const;

/** What a write asks for, apart from its batch. */
export interface WriteCall {
  readonly categoryName: string;
  readonly sync: boolean;
  readonly stamp: ProducerStamp | undefined;
}

/** The two headers of a write that name its producer, as they came. */
export interface StampHeaders {
  readonly producer: string | undefined;
  readonly sequence: string | undefined;
}

/**
 * Reads what a write asks for. Throws `invalid_request`, `invalid_name`, or `too_few_replicas` when it asks
 * for more copies than there are nodes.
 */
export function parseWrite(query: Query, stampHeaders: StampHeaders): WriteCall {
  const categoryName = checkCategoryName(query.required('category'));
  const sync = query.flag('sync_each_write');
  checkReplicas(query.integerOr('min_sync_replicas', { min: 0, max: 1_000 }, 0));
  return { categoryName, sync, stamp: parseStamp(stampHeaders) };
}

/**
 * Checks a batch and hands it to the store, which answers it. It fails with the errors of a batch that is not
 * whole messages, or with those of `Category.submit`; batches of one category keep their order.
 */
export function submitBatch(store: Store, categoryName: string, submission: Submission): void {
  try {
    checkBatch(submission.pieces);
  } catch (error) {
    submission.failed(error);
    return;
  }
  const category = store.openCategory(categoryName);
  if (category !== undefined) {
    category.submit(submission);
    return;
  }
  store.category(categoryName).then(
    (opened) => opened.submit(submission),
    (error: unknown) => submission.failed(error),
  );
}

/** The JSON that a write is answered with, in ASCII, with a newline. */
export function receiptBody({ chunk, offset, size, duplicate }: Appended): string {
  const receipt: WriteReceipt = { chunk, offset, size, duplicate };
  return `${JSON.stringify(receipt)}\n`;
}

function parseStamp({ producer, sequence }: StampHeaders): ProducerStamp | undefined {
  if (producer === undefined && sequence === undefined) return undefined;
  if (producer === undefined || sequence === undefined) {
    throw new ChukchaError(
      'invalid_request',
      `Header ${producer === undefined ? headers.producer : headers.sequence} is missing: send both ${headers.producer} and ${headers.sequence}, or none; nothing was stored.`,
    );
  }
  return {
    producer: checkProducerName(producer),
    sequence: checkInteger(`Header ${headers.sequence}`, sequence, {
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
  };
}

function checkReplicas(replicaCount: number): void {
  if (replicaCount === 0) return;
  throw new ChukchaError(
    'too_few_replicas',
    `min_sync_replicas is ${replicaCount}, but this node has no peers: write without it; nothing was stored.`,
    { fields: { wanted: replicaCount, replicas: 0 } },
  );
}
