import { ChukchaError } from '../../protocol/chukcha-error.js';
import { streamProtocol } from '../../protocol/frames.js';
import { groupNameDefault } from '../../protocol/http-api.js';
import { checkCategoryName, checkGroupName, checkProducerName } from '../../protocol/names.js';
import type { Query } from '../query.js';

export const produceQueryNames = ['category'] as const;
export const consumeQueryNames = ['category', 'group'] as const;

/** What a stream of batches is opened for. */
export interface ProduceCall {
  readonly kind: 'produce';
  readonly categoryName: string;
  /** Whose batches they are; without it none is told from its repetition. */
  readonly producer: string | undefined;
}

/** What a stream of messages is opened for. */
export interface ConsumeCall {
  readonly kind: 'consume';
  readonly categoryName: string;
  readonly group: string;
}

/** Throws `invalid_request` or `invalid_name`. */
export function parseProduce(query: Query, producer: string | undefined): ProduceCall {
  return {
    kind: 'produce',
    categoryName: checkCategoryName(query.required('category')),
    producer: producer === undefined ? undefined : checkProducerName(producer),
  };
}

/** Throws `invalid_request` or `invalid_name`. */
export function parseConsume(query: Query): ConsumeCall {
  return {
    kind: 'consume',
    categoryName: checkCategoryName(query.required('category')),
    group: checkGroupName(query.optional('group') ?? groupNameDefault),
  };
}

/** What is answered on the path of a stream to a request that does not open one. */
export function upgradeRequiredError(path: string): ChukchaError {
  return new ChukchaError(
    'upgrade_required',
    `${path} is a stream: ask for it with "Connection: Upgrade" and "Upgrade: ${streamProtocol}" in the first request of a connection; docs/streams.md describes it.`,
  );
}
