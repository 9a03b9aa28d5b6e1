import { PluginError } from '@chukcha/plugin-api';
import type { Framing } from './framing.js';
import { RawFraming } from './raw-framing.js';
import { type TextEncoding, textDecoding } from './text-encoding.js';
import { type LineGrouping, TextFraming } from './text-framing.js';

/** What is done with a line that is longer than a message may be. */
export type LongLineAction = 'cut' | 'skip' | 'fail';

/** How bytes become messages; a part of each range, so it is JSON. */
export interface FramingOptions {
  readonly encoding: TextEncoding;
  /** A pattern for lines that begin a message. */
  readonly multilineStart?: string;
  /** A pattern for lines that go on with a message. */
  readonly multilineContinuation?: string;
  readonly separator: string;
  readonly linesMax: number;
  /** With the newline. */
  readonly messageBytesMax: number;
}

/** Makes the framing of a source that begins with these bytes. */
export function createFraming(
  options: FramingOptions,
  batchBytesMax: number,
  head: Uint8Array,
): Framing {
  const grouping = createGrouping(options);
  if (options.encoding === 'utf-8' && grouping === undefined) {
    return new RawFraming(options.messageBytesMax);
  }
  const { messageBytesMax } = options;
  const decoding = textDecoding(options.encoding, head);
  return new TextFraming(decoding, { messageBytesMax, batchBytesMax }, grouping);
}

/** Throws a `PluginError` of kind `operator` for a pattern that is none, or for both. */
export function checkFramingOptions(options: FramingOptions): void {
  if (options.multilineStart !== undefined && options.multilineContinuation !== undefined) {
    throw new PluginError(
      'operator',
      'Both multiline_start and multiline_continuation are set, and one was expected: leave one out.',
    );
  }
  createGrouping(options);
}

function createGrouping(options: FramingOptions): LineGrouping | undefined {
  const { multilineStart, multilineContinuation, linesMax } = options;
  const separator = Buffer.from(options.separator);
  if (multilineStart !== undefined) {
    const pattern = compile('multiline_start', multilineStart);
    return { startsMessage: (line) => pattern.test(line), separator, linesMax };
  }
  if (multilineContinuation !== undefined) {
    const pattern = compile('multiline_continuation', multilineContinuation);
    return { startsMessage: (line) => !pattern.test(line), separator, linesMax };
  }
  return undefined;
}

function compile(name: string, source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch (cause) {
    throw new PluginError(
      'operator',
      `The option ${name} is ${JSON.stringify(source)}, and a regular expression of JavaScript was expected: ${(cause as Error).message}.`,
      { cause },
    );
  }
}
