import { resolveOptions, type SchemaForOptions } from '../common/schema-options.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { checkCategoryName, checkGroupName } from '../protocol/names.js';
import type { LineFormatName } from './formats/line-format.js';
import { shipOptionsSchema, sinkOptionsSchema } from './pipeline-schemas.js';
import type { SinkOptions } from './sink-options.js';

/** How a shipper runs, checked. */
export interface ShipSettings {
  readonly from: string;
  readonly category: string;
  readonly format: LineFormatName;
  readonly server: string;
  readonly sync: boolean;
  readonly minSyncReplicas?: number;
  readonly retrySeconds?: number;
}

/** How a sink runs, checked. */
export interface SinkSettings {
  readonly to: string;
  readonly category: string;
  readonly group: string;
  readonly server: string;
  readonly delivery: Pick<SinkOptions, 'batching' | 'badMessages'>;
  readonly retrySeconds?: number;
}

/** Checks options of a shipper, which may be texts, and fills in the defaults. Throws `invalid_option` or `invalid_name`. */
export function resolveShipSettings(given: Readonly<Record<string, unknown>>): ShipSettings {
  const options = resolve('shipper', shipOptionsSchema, given);
  const replicas = options['min-sync-replicas'] as number | undefined;
  return {
    from: options['from'] as string,
    category: checkCategoryName(options['category'] as string),
    format: options['format'] as LineFormatName,
    server: options['server'] as string,
    sync: options['sync-each-write'] as boolean,
    ...(replicas === undefined ? {} : { minSyncReplicas: replicas }),
    ...retryOf(options),
  };
}

/** As {@link resolveShipSettings}, for a sink. */
export function resolveSinkSettings(given: Readonly<Record<string, unknown>>): SinkSettings {
  const options = resolve('sink', sinkOptionsSchema, given);
  return {
    to: options['to'] as string,
    category: checkCategoryName(options['category'] as string),
    group: checkGroupName(options['group'] as string),
    server: options['server'] as string,
    delivery: deliveryOf(options),
    ...retryOf(options),
  };
}

function deliveryOf(options: Readonly<Record<string, unknown>>): SinkSettings['delivery'] {
  const bytesMax = options['batch-bytes'] as number | undefined;
  const messagesMax = options['batch-messages'] as number | undefined;
  const lingerMs = options['batch-age'] as number | undefined;
  const inFlightMax = options['in-flight'] as number | undefined;
  const batching = {
    ...(bytesMax === undefined ? {} : { bytesMax }),
    ...(messagesMax === undefined ? {} : { messagesMax }),
    ...(lingerMs === undefined ? {} : { lingerMs }),
    ...(inFlightMax === undefined ? {} : { inFlightMax }),
  };
  const bad = options['bad-messages'];
  if (bad === undefined) return { batching };
  return { batching, badMessages: bad === 'stop' ? 'stop' : 'dead_letter' };
}

function retryOf(options: Readonly<Record<string, unknown>>): { retrySeconds?: number } {
  const retrySeconds = options['retry-for'] as number | undefined;
  return retrySeconds === undefined ? {} : { retrySeconds };
}

function resolve(
  what: string,
  schema: SchemaForOptions,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const resolved = resolveOptions(schema, given);
  if (resolved.ok) return resolved.options;
  throw new ChukchaError(
    'invalid_option',
    `The ${what} cannot start. ${resolved.problems.join(' ')}`,
  );
}
