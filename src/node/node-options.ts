import { parseQuantity, type QuantityKind, quantityForms } from '../common/quantity.js';
import { resolveOptions } from '../common/schema-options.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { isCategoryName } from '../protocol/names.js';
import type { DiskReserve } from '../storage/disk-guard.js';
import type { RetentionLimits } from '../storage/retention.js';
import { type EtcdAccessOptions, etcdAccessOptions, refusePasswordInEtcd } from './etcd-access.js';
import { nodeOptionsSchema } from './node-options-schema.js';
import { type SecurityOptions, securityOptions } from './security-options.js';

/** The checked options of a node. */
export interface NodeOptions {
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  /** The name that was asked for; `undefined` takes what the directory says, or the host's. */
  readonly name: string | undefined;
  readonly chunkBytesMax: number;
  readonly rotateIntervalMs: number;
  readonly flushIntervalMs: number;
  readonly batchBytesMax: number;
  /** The most bytes of batches held in memory, over all connections. */
  readonly inFlightBytesMax: number;
  readonly diskReserve: DiskReserve;
  readonly retentionOf: (category: string) => RetentionLimits | undefined;
  readonly scrubIntervalMs: number;
  /** The cluster that the node is a member of; `undefined` when it stands alone. */
  readonly cluster: ClusterOptions | undefined;
  readonly security: SecurityOptions;
}

export interface ClusterOptions {
  readonly name: string;
  /** The addresses of etcd. */
  readonly etcdHosts: readonly string[];
  readonly etcdAccess: EtcdAccessOptions;
  /** Where other nodes reach this one; `undefined` for the address that is listened on. */
  readonly advertisedUrl: string | undefined;
  readonly replicationTimeoutMs: number;
  readonly nodeLostAfterMs: number;
}

/** Checks options and fills in the defaults. Throws `invalid_option`. */
export function resolveNodeOptions(given: Readonly<Record<string, unknown>>): NodeOptions {
  refusePasswordInEtcd(given['etcd']);
  const resolved = resolveOptions(nodeOptionsSchema, given);
  if (!resolved.ok)
    throw new ChukchaError(
      'invalid_option',
      `The node cannot start. ${resolved.problems.join(' ')}`,
    );
  const { options } = resolved;
  const listen = options['listen'] as string;
  const colon = listen.lastIndexOf(':');
  const port = Number(listen.slice(colon + 1));
  if (port > 65_535) {
    throw new ChukchaError(
      'invalid_option',
      `Port ${port} of --listen ${listen} is not valid: expected 0 to 65535.`,
    );
  }
  const batchBytesMax = options['max-batch'] as number;
  const inFlightBytesMax = options['max-in-flight'] as number;
  if (inFlightBytesMax < 2 * batchBytesMax) {
    throw new ChukchaError(
      'invalid_option',
      `--max-in-flight is ${inFlightBytesMax}, too little for batches of ${batchBytesMax} bytes: expected at least ${2 * batchBytesMax}, or a smaller --max-batch.`,
    );
  }
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const security = securityOptions(options, host);
  return {
    dataDirectory: options['data'] as string,
    host,
    port,
    name: options['name'] as string | undefined,
    chunkBytesMax: options['max-chunk-size'] as number,
    rotateIntervalMs: options['rotate-interval'] as number,
    flushIntervalMs: options['flush-interval'] as number,
    batchBytesMax,
    inFlightBytesMax,
    diskReserve: parseReserve(options['disk-reserve'] as string),
    retentionOf: parseRetention(options),
    scrubIntervalMs: options['scrub-interval'] as number,
    cluster: clusterOptions(options),
    security,
  };
}

function clusterOptions(options: Readonly<Record<string, unknown>>): ClusterOptions | undefined {
  const etcd = options['etcd'] as string | undefined;
  const etcdAccess = etcdAccessOptions(options);
  if (etcd === undefined) return undefined;
  return {
    name: options['cluster'] as string,
    etcdHosts: etcd.split(','),
    etcdAccess,
    advertisedUrl: options['advertise'] as string | undefined,
    replicationTimeoutMs: options['replication-timeout'] as number,
    nodeLostAfterMs: options['node-lost-after'] as number,
  };
}

function parseReserve(text: string): DiskReserve {
  if (text === 'auto') return 'auto';
  const bytes = parseQuantity('bytes', text);
  if (bytes !== undefined) return bytes;
  throw new ChukchaError(
    'invalid_option',
    `Option disk-reserve is ${JSON.stringify(text)}: it must be auto, or ${quantityForms.bytes}.`,
  );
}

function parseRetention(
  options: Readonly<Record<string, unknown>>,
): (category: string) => RetentionLimits | undefined {
  const ages = parseByCategory(options, 'retain-for', 'duration');
  const sizes = parseByCategory(options, 'retain-size', 'bytes');
  return (category) => {
    const [ageMsMax, bytesMax] = [ages(category), sizes(category)];
    return ageMsMax === undefined && bytesMax === undefined ? undefined : { ageMsMax, bytesMax };
  };
}

/** Reads `7d`, or `logs=7d,audit=365d,*=30d`, where `*` stands for all that are not named. */
function parseByCategory(
  options: Readonly<Record<string, unknown>>,
  name: string,
  kind: QuantityKind,
): (category: string) => number | undefined {
  const text = options[name] as string | undefined;
  const values = new Map<string, number>();
  for (const part of text?.split(',') ?? []) {
    const equals = part.indexOf('=');
    const category = equals === -1 ? '*' : part.slice(0, equals).trim();
    const value = parseQuantity(kind, part.slice(equals + 1));
    if (value === undefined || value === 0 || !isPattern(category) || values.has(category)) {
      throw new ChukchaError(
        'invalid_option',
        `Option ${name} has ${JSON.stringify(part)}: expected ${quantityForms[kind]}, alone or behind the name of a ` +
          'category and =, each name once; * stands for all others.',
      );
    }
    values.set(category, value);
  }
  return (category) => values.get(category) ?? values.get('*');
}

function isPattern(category: string): boolean {
  return category === '*' || isCategoryName(category);
}
