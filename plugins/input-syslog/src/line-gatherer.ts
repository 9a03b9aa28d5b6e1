import type { InputBatch } from '@chukcha/plugin-api';

/** The size at which a batch is not filled further, in bytes. A larger one is not written faster. */
const batchBytesDefault = 1024 * 1024;

/** What a line costs in memory beside its bytes while it waits, so that a flood of short lines is bounded too. */
const lineCostBytes = 128;

const newline = Buffer.from('\n');

export interface GathererOptions {
  readonly batchBytesMax: number;
  /** How many bytes may wait or be with the host. */
  readonly inFlightBytesMax: number;
  /** Called when there is room again after there was none. */
  readonly onRoom: () => void;
  /** The bus did not take lines that nobody can send again. */
  readonly onLost: (lineCount: number) => void;
}

/** Gathers lines into batches. What waits and what the host has count against one limit. */
export class LineGatherer {
  readonly #options: GathererOptions;
  readonly #batchBytesMax: number;
  #lines: Buffer[] = [];
  #waitingBytes = 0;
  #unsettledBytes = 0;
  #wasFull = false;
  #wake: () => void = () => undefined;

  constructor(options: GathererOptions) {
    this.#options = options;
    this.#batchBytesMax = Math.min(options.batchBytesMax, batchBytesDefault);
  }

  /** True when nothing more should come before something was settled. */
  get isFull(): boolean {
    const isFull = this.#waitingBytes + this.#unsettledBytes >= this.#options.inFlightBytesMax;
    this.#wasFull ||= isFull;
    return isFull;
  }

  /** Adds a line without its newline; the bytes MUST NOT change. */
  add(line: Buffer): void {
    this.#lines.push(line);
    this.#waitingBytes += line.length + lineCostBytes;
    this.#wake();
  }

  /** Yields what comes until the signal aborts, and then what is left. */
  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted || this.#lines.length > 0) {
        if (this.#lines.length > 0) yield this.#takeBatch();
        else await this.#nextChange();
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  #takeBatch(): InputBatch {
    const pieces: Buffer[] = [];
    let byteCount = 0;
    let lineCount = 0;
    for (const line of this.#lines) {
      if (lineCount > 0 && byteCount + line.length + 1 > this.#batchBytesMax) break;
      pieces.push(line, newline);
      byteCount += line.length + 1;
      lineCount += 1;
    }
    this.#lines = this.#lines.slice(lineCount);
    this.#waitingBytes -= byteCount + lineCount * (lineCostBytes - 1);
    this.#unsettledBytes += byteCount;
    const bytes = Buffer.concat(pieces, byteCount);
    let isSettled = false;
    const settle = (isLost: boolean): void => {
      if (isSettled) return;
      isSettled = true;
      this.#unsettledBytes -= byteCount;
      if (isLost) this.#options.onLost(lineCount);
      this.#noticeRoom();
    };
    return { bytes, ack: async () => settle(false), nack: async () => settle(true) };
  }

  #noticeRoom(): void {
    if (!this.#wasFull || this.isFull) return;
    this.#wasFull = false;
    this.#options.onRoom();
  }

  /** Resolves in the turn after the next event, whose other lines are to share a batch. */
  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => undefined;
        setImmediate(resolve);
      };
    });
  }
}
