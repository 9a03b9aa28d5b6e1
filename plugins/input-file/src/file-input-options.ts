import type { InputContext, PluginOptions } from '@chukcha/plugin-api';
import type { ReadFrom } from './checkpoint.js';

/** The options of the plugin's schema, with names and types of their own. */
export interface FileInputOptions {
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly readFrom: ReadFrom;
  readonly pollIntervalMs: number;
  readonly blockBytes: number;
}

/** Reads options that the host has checked. A block is at most a batch. */
export function readFileInputOptions(
  options: PluginOptions,
  context: Pick<InputContext, 'batchBytesMax'>,
): FileInputOptions {
  return {
    paths: options['paths'] as string[],
    exclude: options['exclude'] as string[],
    readFrom: options['read_from'] as ReadFrom,
    pollIntervalMs: options['poll_interval_ms'] as number,
    blockBytes: Math.min(options['block_bytes'] as number, context.batchBytesMax),
  };
}
