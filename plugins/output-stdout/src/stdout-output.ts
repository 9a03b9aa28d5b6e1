import { fstatSync } from 'node:fs';
import type { Output, OutputBatch, OutputContext, PluginOptions } from '@chukcha/plugin-api';
import { PluginError } from '@chukcha/plugin-api';
import type { ByteTarget } from './byte-target.js';
import { createFileTarget } from './file-target.js';
import { createStreamTarget } from './stream-target.js';

/** What a stream says when nobody reads it any more. */
const closedCodes: ReadonlySet<unknown> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** Opens standard output, whatever it is connected to. */
export async function open(_options: PluginOptions, _context: OutputContext): Promise<Output> {
  const { fd, isTTY } = process.stdout;
  const stats = fstatSync(fd);
  // Devices such as /dev/full fail at once and synchronously, which a stream turns into an uncaught error.
  const isFile = stats.isFile() || (stats.isCharacterDevice() && !isTTY);
  return createStdoutOutput(isFile ? createFileTarget(fd) : createStreamTarget(process.stdout));
}

/** The output to any target; {@link open} with a target of one's own. */
export function createStdoutOutput(target: ByteTarget): Output {
  return new StdoutOutput(target);
}

/**
 * Writes the bytes of batches, each batch once. When a batch could not be written to its end, the same
 * batch goes on where it stopped, so that a repetition tears no line and prints none twice.
 */
class StdoutOutput implements Output {
  readonly #target: ByteTarget;
  /** How far the batch of this token was written, in bytes. */
  #progress = { token: '', byteCount: 0 };
  /** The write under way, also after an abort made the output give up waiting for it. */
  #pending: Promise<void> = Promise.resolve();

  constructor(target: ByteTarget) {
    this.#target = target;
  }

  /**
   * Resolves when the system has taken all bytes: they are in the pipe or in the file, not synced to disk.
   * Throws a `PluginError` of kind `closed` when nobody reads the output any more.
   */
  async write(batch: OutputBatch, signal: AbortSignal): Promise<undefined> {
    signal.throwIfAborted();
    await untilAbort(this.#pending, signal);
    if (this.#progress.token !== batch.token) this.#progress = { token: batch.token, byteCount: 0 };
    const progress = this.#progress;
    while (progress.byteCount < batch.bytes.length) {
      signal.throwIfAborted();
      const end = progress.byteCount + this.#target.pieceBytesMax;
      const piece = batch.bytes.subarray(progress.byteCount, end);
      const write = this.#target.write(piece).then((byteCount) => {
        progress.byteCount += byteCount;
      });
      this.#pending = write.catch(() => undefined);
      try {
        await untilAbort(write, signal);
      } catch (error) {
        throw signal.aborted ? error : toPluginError(error);
      }
    }
    this.#progress = { token: '', byteCount: 0 };
    return undefined;
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
