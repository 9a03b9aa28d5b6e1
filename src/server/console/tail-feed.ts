import { CallError, sentenceOf } from './call-error.js';
import type { NodeCalls } from './node-calls.js';
import { joinBytes, splitMessages } from './split-messages.js';

export interface TailListener {
  /** The head of the answer is here: every message that is written from now on comes. */
  opened(): void;
  /** Whole messages, in the order in which they came. */
  arrived(lines: readonly Uint8Array[]): void;
  /** The stream has ended or broken, and is asked for again, unless a token is missing. */
  broke(sentence: string, isRetried: boolean): void;
}

/** From one try to the next. */
const retryMs = 2_000;

/** A message has at most 1 MiB; what is longer without an end is no stream of messages. */
const restBytesMax = 2 * 1024 * 1024;

/** Follows what is written to a category from now on, and asks again when the stream ends. */
export class TailFeed {
  readonly #calls: NodeCalls;
  readonly #listener: TailListener;
  readonly #end = new AbortController();

  constructor(calls: NodeCalls, listener: TailListener) {
    this.#calls = calls;
    this.#listener = listener;
  }

  close(): void {
    this.#end.abort();
  }

  /** Resolves when it was closed, or a token is missing. */
  async run(category: string): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      let sentence = 'The node has ended the stream.';
      try {
        await this.#follow(category, signal);
      } catch (error) {
        if (signal.aborted) return;
        sentence = sentenceOf(error);
        if (error instanceof CallError && error.isRefusal) {
          this.#listener.broke(sentence, false);
          return;
        }
      }
      if (signal.aborted) return;
      this.#listener.broke(sentence, true);
      await pause(retryMs, signal);
    }
  }

  async #follow(category: string, signal: AbortSignal): Promise<void> {
    const stream = await this.#calls.tail(category, signal);
    this.#listener.opened();
    const reader = stream.getReader();
    let rest: Uint8Array = new Uint8Array();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      const { lines, rest: left } = splitMessages(joinBytes(rest, value));
      // A copy, because what is left would keep all of the bytes in memory.
      rest = left.slice();
      if (rest.length > restBytesMax) throw new CallError(0, 'A message of the stream has no end.');
      if (lines.length > 0) this.#listener.arrived(lines);
    }
  }
}

function pause(pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, pauseMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
