import type { InputContext, PluginOptions } from '@chukcha/plugin-api';
import type { ReadFrom } from './checkpoint.js';
import type { FramingOptions, LongLineAction } from './framing-options.js';
import type { TextEncoding } from './text-encoding.js';

/** The options of the plugin's schema, with names and types of their own. */
export interface FileInputOptions {
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly readFrom: ReadFrom;
  readonly pollIntervalMs: number;
  readonly isWatching: boolean;
  readonly blockBytes: number;
  readonly framing: FramingOptions;
  readonly longLine: LongLineAction;
  readonly partialLineMs: number;
  readonly multilineTimeoutMs: number;
}

/** Reads options that the host has checked. A block is at most a batch. */
export function readFileInputOptions(
  options: PluginOptions,
  context: Pick<InputContext, 'batchBytesMax' | 'messageBytesMax'>,
): FileInputOptions {
  const start = options['multiline_start'] as string | undefined;
  const continuation = options['multiline_continuation'] as string | undefined;
  return {
    paths: options['paths'] as string[],
    exclude: options['exclude'] as string[],
    readFrom: options['read_from'] as ReadFrom,
    pollIntervalMs: options['poll_interval_ms'] as number,
    isWatching: options['watch'] as boolean,
    blockBytes: Math.min(options['block_bytes'] as number, context.batchBytesMax),
    framing: {
      encoding: options['encoding'] as TextEncoding,
      separator: options['multiline_separator'] as string,
      linesMax: options['multiline_lines_max'] as number,
      messageBytesMax: context.messageBytesMax,
      ...(start === undefined ? {} : { multilineStart: start }),
      ...(continuation === undefined ? {} : { multilineContinuation: continuation }),
    },
    longLine: options['long_line'] as LongLineAction,
    partialLineMs: options['partial_line_ms'] as number,
    multilineTimeoutMs: options['multiline_timeout_ms'] as number,
  };
}
