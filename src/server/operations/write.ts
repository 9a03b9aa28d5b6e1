import { checkBatch } from '../../protocol/batch-check.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { headers, type ProducerStamp, type WriteReceipt } from '../../protocol/http-api.js';
import { checkCategoryName, checkProducerName } from '../../protocol/names.js';
import type { Appended, Submission } from '../../storage/batch.js';
import { checkInteger, type Query } from '../query.js';
import type { ServerPorts } from '../server-ports.js';
import { ReplicatedSubmission } from './replicated-submission.js';
import { parseReplicaCount } from './streams.js';

export const writeQueryNames = ['category', 'min_sync_replicas', 'sync_each_write'] as const;

/** What a write asks for, apart from its batch. */
export interface WriteCall {
  readonly categoryName: string;
  readonly sync: boolean;
  /** How many peers have to have it before it is answered. */
  readonly replicaCount: number;
  readonly stamp: ProducerStamp | undefined;
}

/** The two headers of a write that name its producer, as they came. */
export interface StampHeaders {
  readonly producer: string | undefined;
  readonly sequence: string | undefined;
}

/** Reads what a write asks for. Throws `invalid_request` or `invalid_name`. */
export function parseWrite(query: Query, stampHeaders: StampHeaders): WriteCall {
  const categoryName = checkCategoryName(query.required('category'));
  const sync = query.flag('sync_each_write');
  const replicaCount = parseReplicaCount(query);
  return { categoryName, sync, replicaCount, stamp: parseStamp(stampHeaders) };
}

/**
 * Checks a batch and hands it to the store, which answers it; one that asks for peers is answered when they have it.
 * It fails with the errors of a batch that is not whole messages, with those of `Category.submit`, with
 * `too_few_replicas` before it is stored, or with `not_replicated` after. Batches of one category keep their order.
 */
export function submitBatch(
  { store, cluster }: Pick<ServerPorts, 'store' | 'cluster'>,
  categoryName: string,
  asked: Submission,
  replicaCount: number,
): void {
  // In this order, because a way in that has the body later refuses for want of peers before it reads that.
  const refusal = replicaRefusal({ cluster }, replicaCount);
  if (refusal !== undefined) {
    asked.failed(refusal);
    return;
  }
  try {
    checkBatch(asked.pieces);
  } catch (error) {
    asked.failed(error);
    return;
  }
  const submission =
    replicaCount === 0 || cluster === undefined
      ? asked
      : new ReplicatedSubmission(asked, { cluster, category: categoryName, replicaCount });
  const category = store.openCategory(categoryName);
  if (category !== undefined) {
    category.submit(submission);
    return;
  }
  // Before a category is made for it: that takes room itself.
  const noRoom = store.refusal();
  if (noRoom !== undefined) {
    submission.failed(noRoom);
    return;
  }
  store.categoryForClient(categoryName).then(
    (opened) => opened.submit(submission),
    (error: unknown) => submission.failed(error),
  );
}

/** Why the node cannot promise so many replicas now; asked before a body is read too. */
export function replicaRefusal(
  { cluster }: Pick<ServerPorts, 'cluster'>,
  replicaCount: number,
): ChukchaError | undefined {
  return cluster === undefined ? alone(replicaCount) : cluster.refusal(replicaCount);
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

function alone(replicaCount: number): ChukchaError | undefined {
  if (replicaCount === 0) return undefined;
  return new ChukchaError(
    'too_few_replicas',
    `min_sync_replicas is ${replicaCount}, but this node has no peers: write without it, or start the node as a member of a cluster; nothing was stored.`,
    { fields: { wanted: replicaCount, replicas: 0 } },
  );
}
