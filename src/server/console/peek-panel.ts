import { sentenceOf } from './call-error.js';
import { part, setAttribute, setText } from './element.js';
import { formatBytes, formatNumberOf } from './format-figures.js';
import { messageLine } from './message-line.js';
import type { NodeCalls } from './node-calls.js';
import { splitMessages, toShown } from './split-messages.js';

/** As much of a chunk as is fetched for a look. */
const peekBytes = 64 * 1024;

/** No message is larger, so so many bytes in front of the end always hold the beginning of the last one. */
const messageBytesMax = 1024 * 1024;

const messageCountMax = 100;

export type PeekFrom = 'first' | 'last';

interface Found {
  readonly lines: readonly Uint8Array[];
  /** Where the first of them begins in its chunk. */
  readonly offset: number;
  readonly chunkSize: number;
}

/** Shows the first or the last messages of a chunk. */
export class PeekPanel {
  readonly #calls: NodeCalls;
  readonly #box = part('peek', HTMLElement);
  readonly #status = part('peek-status', HTMLElement);
  readonly #list = part('peek-list', HTMLElement);
  readonly #more = part('peek-more', HTMLButtonElement);
  #latest = 0;
  #next: (() => Promise<void>) | undefined;

  constructor(calls: NodeCalls) {
    this.#calls = calls;
    this.#more.addEventListener('click', () => void this.#next?.());
  }

  clear(): void {
    this.#latest += 1;
    this.#show([]);
    setText(this.#status, 'Choose “First” or “Last” of a chunk.');
  }

  async open(category: string, chunk: string, from: PeekFrom): Promise<void> {
    this.#box.scrollIntoView({ block: 'nearest' });
    await this.#load(
      `${from === 'first' ? 'First' : 'Last'} messages of ${chunk}`,
      () =>
        from === 'first' ? this.#readFrom(category, chunk, 0) : this.#readLast(category, chunk),
      from === 'first' ? { category, chunk } : undefined,
    );
  }

  /** @param onward where to go on from, when that is possible */
  async #load(
    what: string,
    read: () => Promise<Found>,
    onward: { category: string; chunk: string } | undefined,
  ): Promise<void> {
    this.#latest += 1;
    const turn = this.#latest;
    setText(this.#status, `${what}: asking …`);
    this.#show([]);
    try {
      const found = await read();
      // Somebody has asked for something else meanwhile.
      if (turn !== this.#latest) return;
      const { lines, offset, chunkSize } = found;
      const endOffset = lines.reduce((end, line) => end + line.length + 1, offset);
      this.#show(linesOf(found));
      setText(
        this.#status,
        lines.length === 0
          ? `${what}: there are none; the chunk has ${formatBytes(chunkSize)}.`
          : `${what}: ${formatNumberOf(lines.length, 'message')}, from byte ${offset} to ${endOffset} of ${chunkSize}.`,
      );
      if (onward === undefined || endOffset >= chunkSize) return;
      const { category, chunk } = onward;
      this.#next = () =>
        this.#load(
          `Next messages of ${chunk}`,
          () => this.#readFrom(category, chunk, endOffset),
          onward,
        );
      setAttribute(this.#more, 'hidden', false);
    } catch (error) {
      if (turn === this.#latest) setText(this.#status, `${what}: ${sentenceOf(error)}`);
    }
  }

  async #readFrom(category: string, chunk: string, offset: number): Promise<Found> {
    const { bytes, chunkSize } = await this.#calls.read(category, chunk, offset, peekBytes);
    return { lines: splitMessages(bytes).lines.slice(0, messageCountMax), offset, chunkSize };
  }

  /** Begins one byte in front of what is wanted: what ends with the first newline is not whole, or that newline itself. */
  async #readLast(category: string, chunk: string): Promise<Found> {
    const { chunkSize } = await this.#calls.read(category, chunk, 0, 1);
    for (const byteCount of [peekBytes, messageBytesMax + 1]) {
      const start = Math.max(0, chunkSize - byteCount);
      const { bytes } = await this.#calls.read(category, chunk, start, byteCount);
      const { lines } = splitMessages(bytes);
      const whole = start === 0 ? lines : lines.slice(1);
      if (whole.length === 0 && start > 0) continue;
      const shown = whole.slice(-messageCountMax);
      const endOffset = lines.reduce((end, line) => end + line.length + 1, start);
      return {
        lines: shown,
        offset: shown.reduce((at, line) => at - line.length - 1, endOffset),
        chunkSize,
      };
    }
    return { lines: [], offset: chunkSize, chunkSize };
  }

  #show(lines: readonly HTMLLIElement[]): void {
    this.#next = undefined;
    setAttribute(this.#more, 'hidden', true);
    setAttribute(this.#list, 'hidden', lines.length === 0);
    this.#list.replaceChildren(...lines);
    this.#list.scrollTop = 0;
  }
}

function linesOf({ lines, offset }: Found): HTMLLIElement[] {
  let at = offset;
  return lines.map((line) => {
    const shown = messageLine(toShown(line), String(at));
    at += line.length + 1;
    return shown;
  });
}
