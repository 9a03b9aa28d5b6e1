import { fstatSync } from 'node:fs';
import type { Output, OutputBatch, OutputContext, PluginOptions } from '@chukcha/plugin-api';
import { PluginError } from '@chukcha/plugin-api';
import { type BatchPrinter, FormattedPrinter, RawPrinter } from './batch-printer.js';
import type { ByteTarget } from './byte-target.js';
import { createFileTarget } from './file-target.js';
import { JsonFormatter } from './json-formatter.js';
import type { MessageFormatter } from './message-formatter.js';
import { PrettyFormatter } from './pretty-formatter.js';
import { createStreamTarget } from './stream-target.js';

/** What a stream says when nobody reads it any more. */
const closedCodes: ReadonlySet<unknown> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** Opens standard output, whatever it is connected to. */
export async function open(options: PluginOptions, _context: OutputContext): Promise<Output> {
  const { fd, isTTY } = process.stdout;
  const stats = fstatSync(fd);
  // Devices such as /dev/full fail at once and synchronously, which a stream turns into an uncaught error.
  const isFile = stats.isFile() || (stats.isCharacterDevice() && !isTTY);
  const target = isFile ? createFileTarget(fd) : createStreamTarget(process.stdout);
  return createStdoutOutput(target, createFormatter(options, isTTY, process.env));
}

/** The output to any target, raw without a formatter; {@link open} with a target of one's own. */
export function createStdoutOutput(target: ByteTarget, formatter?: MessageFormatter): Output {
  return new StdoutOutput(target, formatter);
}

/** What the options ask for; `undefined` for messages as they are. */
export function createFormatter(
  { format, color = 'auto', coordinates }: PluginOptions,
  isTerminal: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): MessageFormatter | undefined {
  if (format === 'json') return new JsonFormatter();
  if (format !== 'pretty') return undefined;
  const isColorful = isTerminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  return new PrettyFormatter({
    color: color === 'always' || (color === 'auto' && isColorful),
    coordinates: coordinates === true,
  });
}

/**
 * Prints batches, each batch once. When a batch could not be written to its end, the same
 * batch goes on where it stopped, so that a repetition tears no line and prints none twice.
 */
class StdoutOutput implements Output {
  readonly #target: ByteTarget;
  readonly #formatter: MessageFormatter | undefined;
  /** How far the batch of this token was printed. */
  #progress: { readonly token: string; readonly printer: BatchPrinter } | undefined;
  /** The write under way, also after an abort made the output give up waiting for it. */
  #pending: Promise<void> = Promise.resolve();

  constructor(target: ByteTarget, formatter: MessageFormatter | undefined) {
    this.#target = target;
    this.#formatter = formatter;
  }

  /**
   * Resolves when the system has taken all bytes: they are in the pipe or in the file, not synced to disk.
   * Throws a `PluginError` of kind `closed` when nobody reads the output any more.
   */
  async write(batch: OutputBatch, signal: AbortSignal): Promise<undefined> {
    signal.throwIfAborted();
    await untilAbort(this.#pending, signal);
    if (this.#progress?.token !== batch.token) {
      this.#progress = { token: batch.token, printer: this.#createPrinter() };
    }
    const { printer } = this.#progress;
    for (;;) {
      signal.throwIfAborted();
      const piece = printer.next(batch, this.#target.pieceBytesMax);
      if (piece.length === 0) break;
      const write = this.#target.write(piece).then((byteCount) => printer.advance(byteCount));
      this.#pending = write.catch(() => undefined);
      try {
        await untilAbort(write, signal);
      } catch (error) {
        throw signal.aborted ? error : toPluginError(error);
      }
    }
    this.#progress = undefined;
    return undefined;
  }

  #createPrinter(): BatchPrinter {
    return this.#formatter === undefined ? new RawPrinter() : new FormattedPrinter(this.#formatter);
  }

  /** Standard output stays open: it belongs to the process. */
  async close(): Promise<void> {
    this.#target.release();
  }
}

/** Settles as the promise does, or rejects with the reason of the signal when that aborts from now on. */
async function untilAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort);
  }
}

function toPluginError(error: unknown): PluginError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (closedCodes.has(code)) {
    return new PluginError(
      'closed',
      'Standard output was closed by whoever read it: the messages behind what was printed stay in the bus.',
      { cause: error },
    );
  }
  return new PluginError(
    'operator',
    `Standard output could not be written (${message}): expected a file with room or a program that reads; ` +
      'mend it, and printing goes on where it stopped.',
    { cause: error },
  );
}
