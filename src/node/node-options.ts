import { resolveOptions } from '../common/schema-options.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { nodeOptionsSchema } from './node-options-schema.js';

/** The checked options of a node. */
export interface NodeOptions {
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  /** The name that was asked for; `undefined` takes what the directory says, or the host's. */
  readonly name: string | undefined;
  readonly chunkBytesMax: number;
  readonly batchBytesMax: number;
  readonly inFlightBytesMax: number;
  readonly flushIntervalMs: number;
}

/** Checks options and fills in the defaults. Throws `invalid_option`. */
export function resolveNodeOptions(given: Readonly<Record<string, unknown>>): NodeOptions {
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
  return {
    dataDirectory: options['data'] as string,
    host: listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port,
    name: options['name'] as string | undefined,
    chunkBytesMax: options['max-chunk-size'] as number,
    batchBytesMax,
    inFlightBytesMax,
    flushIntervalMs: options['flush-interval'] as number,
  };
}
