import { ChukchaError } from '../../protocol/chukcha-error.js';
import { streamProtocol } from '../../protocol/frames.js';
import { groupNameDefault } from '../../protocol/http-api.js';
import {
  checkCategoryName,
  checkGroupName,
  checkNodeName,
  checkProducerName,
} from '../../protocol/names.js';
import type { ReplicaHello } from '../../protocol/replication.js';
import type { Query } from '../query.js';

export const produceQueryNames = ['category', 'min_sync_replicas'] as const;
export const consumeQueryNames = ['category', 'group'] as const;

/** What a stream of batches is opened for. */
export interface ProduceCall {
  readonly kind: 'produce';
  readonly categoryName: string;
  /** How many peers have to have each batch before it is answered. */
  readonly replicaCount: number;
  /** Whose batches they are; without it none is told from its repetition. */
  readonly producer: string | undefined;
}

/** What a stream of messages is opened for. */
export interface ConsumeCall {
  readonly kind: 'consume';
  readonly categoryName: string;
  readonly group: string;
}

/** The most peers that a write can ask for; a cluster has fewer nodes than that. */
const replicaCountMax = 1_000;

/** How many peers a write asks for. Throws `invalid_request`. */
export function parseReplicaCount(query: Query): number {
  return query.integerOr('min_sync_replicas', { min: 0, max: replicaCountMax }, 0);
}

/** Throws `invalid_request` or `invalid_name`. */
export function parseProduce(query: Query, producer: string | undefined): ProduceCall {
  return {
    kind: 'produce',
    categoryName: checkCategoryName(query.required('category')),
    replicaCount: parseReplicaCount(query),
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

/** Throws `invalid_request` or `invalid_name`. */
export function parseReplication(query: Query): ReplicaHello {
  return {
    cluster: query.required('cluster'),
    node: checkNodeName(query.required('node')),
    directory: query.required('directory'),
    boot: query.required('boot'),
    epoch: query.integer('epoch', { min: 0, max: Number.MAX_SAFE_INTEGER }),
  };
}

/** What is answered on the path of a stream to a request that does not open one. */
export function upgradeRequiredError(path: string): ChukchaError {
  return new ChukchaError(
    'upgrade_required',
    `${path} is a stream: ask for it with "Connection: Upgrade" and "Upgrade: ${streamProtocol}" in the first request of a connection; docs/streams.md describes it.`,
  );
}
