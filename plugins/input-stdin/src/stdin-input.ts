import type { Readable } from 'node:stream';
import {
  type Input,
  type InputBatch,
  type InputContext,
  type PluginCounter,
  PluginError,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { LineBlock } from './line-block.js';
import { NulSeparator } from './nul-separator.js';

/** The size at which a batch is not filled further, in bytes. A larger one is not written faster. */
const blockBytesDefault = 1024 * 1024;

/** How much may be with the host at a time: enough to keep it busy, little enough to keep in memory. */
const unsettledBytesMax = 8 * blockBytesDefault;

/**
 * How long lines may wait for more to share a batch with, while the host is busy with earlier ones. A
 * file or a pipe at full speed delivers several MiB in this time, 64 KiB at a time.
 */
const gatherMsMax = 5;

/** Opens standard input. It keeps no checkpoints: what was read from a pipe cannot be read again. */
export async function open(options: PluginOptions, context: InputContext): Promise<Input> {
  return createStdinInput(process.stdin, context, options);
}

/** The input on any stream of bytes; {@link open} with a stream of one's own. */
export function createStdinInput(
  stream: Readable,
  context: InputContext,
  options: PluginOptions = {},
): Input {
  const nul = options['separator'] === 'nul' ? new NulSeparator() : undefined;
  return new StdinInput(stream, context, nul);
}

/**
 * Reads a stream to its end. The handlers of the stream gather bytes and wake the one loop in `batches`.
 * The stream is paused while a full block waits to be taken, so a host that is slow slows the writer.
 */
class StdinInput implements Input {
  readonly #stream: Readable;
  readonly #log: InputContext['log'];
  readonly #messageBytesMax: number;
  readonly #block: LineBlock;
  /** Only when messages are ended by NUL. */
  readonly #nul: NulSeparator | undefined;
  readonly #joined: PluginCounter;
  /** `ended` and `failed` are final. */
  #source: { state: 'reading' | 'ended' } | { state: 'failed'; error: Error } = {
    state: 'reading',
  };
  #unsettledBytes = 0;
  /** Since when there are bytes that were not taken, on the clock of `performance.now`. */
  #waitingSince = 0;
  #wake: () => void = () => undefined;

  constructor(stream: Readable, context: InputContext, nul: NulSeparator | undefined) {
    this.#stream = stream;
    this.#nul = nul;
    this.#joined = context.metrics.counter(
      'joined_messages_total',
      'Messages whose newlines were written as \\n.',
    );
    this.#log = context.log;
    this.#messageBytesMax = context.messageBytesMax;
    this.#block = new LineBlock({
      messageBytesMax: context.messageBytesMax,
      // A block has to have room for the longest message.
      blockBytesMax: Math.min(
        Math.max(blockBytesDefault, context.messageBytesMax),
        context.batchBytesMax,
      ),
    });
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake);
    this.#startReading();
    try {
      while (!signal.aborted) {
        const gatherMs = this.#gatherMs();
        const bytes = gatherMs === 0 ? this.#takeLines() : undefined;
        if (bytes !== undefined) yield this.#createBatch(bytes);
        else if (this.#source.state === 'ended' && this.#block.isEmpty) return;
        else await this.#nextChange(gatherMs);
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#stopReading();
    }
  }

  /** Lets go of the stream, so that whoever writes to the pipe learns that nobody reads it. */
  async close(): Promise<void> {
    this.#stopReading();
    // Nobody is left who could be told of an error.
    this.#stream.on('error', () => undefined);
    this.#stream.destroy();
  }

  /** How long to wait before the next batch: 0 to take it now, `undefined` until something is settled. */
  #gatherMs(): number | undefined {
    if (this.#unsettledBytes >= unsettledBytesMax) return undefined;
    const idle = this.#unsettledBytes === 0;
    if (idle || this.#block.isFull || this.#source.state !== 'reading') return 0;
    return Math.max(0, this.#waitingSince + gatherMsMax - performance.now());
  }

  /** Whole lines; `undefined` when there are none yet. Throws what ends the input. */
  #takeLines(): Buffer | undefined {
    const taken = this.#block.takeLines();
    this.#waitingSince = performance.now();
    if (!this.#block.isFull && this.#source.state === 'reading') this.#stream.resume();
    if (taken.kind === 'lines') return taken.bytes;
    if (taken.kind === 'too_long') throw longLineError(taken.line, this.#messageBytesMax);
    if (this.#source.state === 'failed') throw readError(this.#source.error);
    if (this.#source.state === 'ended' && this.#block.endLastLine()) {
      this.#log.info(
        this.#nul === undefined
          ? 'Added the missing newline at the end of standard input.'
          : 'The last message of standard input had no NUL at its end.',
      );
      return this.#takeLines();
    }
    return undefined;
  }

  #createBatch(bytes: Buffer): InputBatch {
    this.#unsettledBytes += bytes.length;
    let settled = false;
    const settle = async (): Promise<void> => {
      if (settled) return;
      settled = true;
      this.#unsettledBytes -= bytes.length;
      this.#wake();
    };
    return { bytes, ack: settle, nack: settle };
  }

  #startReading(): void {
    this.#stream.on('data', this.#onData);
    this.#stream.on('end', this.#onEnd);
    this.#stream.on('close', this.#onEnd);
    this.#stream.on('error', this.#onError);
    if (this.#stream.readableEnded || this.#stream.destroyed) this.#onEnd();
  }

  #stopReading(): void {
    this.#stream.pause();
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('close', this.#onEnd);
    this.#stream.off('error', this.#onError);
  }

  readonly #onData = (piece: Buffer): void => {
    if (this.#block.isEmpty) this.#waitingSince = performance.now();
    this.#block.add(this.#nul === undefined ? piece : this.#separate(this.#nul, piece));
    if (this.#block.isFull) this.#stream.pause();
    this.#wake();
  };

  #separate(nul: NulSeparator, piece: Buffer): Buffer {
    const before = nul.joinedMessageCount;
    const lines = nul.toLines(piece);
    if (nul.joinedMessageCount > before) this.#joined.add(nul.joinedMessageCount - before);
    return lines;
  }

  readonly #onEnd = (): void => {
    if (this.#source.state === 'reading') this.#source = { state: 'ended' };
    this.#wake();
  };

  readonly #onError = (error: Error): void => {
    this.#source = { state: 'failed', error };
    this.#wake();
  };

  /**
   * Resolves after the next event and those of the same turn of the event loop, which are to share a
   * batch; or after the time, when that is above 0.
   */
  #nextChange(timeoutMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        setImmediate(resolve);
      };
      const timer = timeoutMs ? setTimeout(wake, timeoutMs) : undefined;
      this.#wake = wake;
    });
  }
}

function longLineError(line: number, messageBytesMax: number): PluginError {
  return new PluginError(
    'data',
    `Line ${line} of standard input is longer than ${messageBytesMax} bytes with its newline, the limit of a message: ` +
      'split it, or send a reference to its content; the lines before it were read, none behind it.',
  );
}

function readError(cause: Error): PluginError {
  return new PluginError(
    'operator',
    `Standard input could not be read (${cause.message}): expected a pipe, a file or a terminal; connect one and start again.`,
    { cause },
  );
}
