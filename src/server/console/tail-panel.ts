import { part, setAttribute, setText } from './element.js';
import { formatCount, formatNumberOf, formatTime } from './format-figures.js';
import { messageLine } from './message-line.js';
import type { NodeCalls } from './node-calls.js';
import { type ShownMessage, toShown } from './split-messages.js';
import { TailFeed } from './tail-feed.js';

/** The list keeps the last ones. */
const messageCountMax = 500;

/** What the texts of the list may take together; a message has up to 1 MiB. */
const textLengthMax = 4 * 1024 * 1024;

/** The list is drawn so often at most, however many messages come. */
const drawIntervalMs = 150;

interface TailMessage extends ShownMessage {
  readonly atMs: number;
}

/**
 * Shows messages as they are written. While it is paused, what comes waits, up to as many as the list can hold; what
 * leaves the list, or never got into it, is counted and said.
 */
export class TailPanel {
  readonly #calls: NodeCalls;
  readonly #start = part('tail-start', HTMLButtonElement);
  readonly #pause = part('tail-pause', HTMLButtonElement);
  readonly #clear = part('tail-clear', HTMLButtonElement);
  readonly #filter = part('tail-filter', HTMLInputElement);
  readonly #status = part('tail-status', HTMLElement);
  readonly #list = part('tail-list', HTMLElement);
  #category = '';
  #feed: TailFeed | undefined;
  #state = '';
  #isPaused = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: TailMessage[] = [];
  #shown: TailMessage[] = [];
  #arrivedCount = 0;
  #passedOverCount = 0;

  constructor(calls: NodeCalls) {
    this.#calls = calls;
    this.#start.addEventListener('click', () => (this.#feed ? this.stop() : this.start()));
    this.#pause.addEventListener('click', () => this.#setPaused(!this.#isPaused));
    this.#clear.addEventListener('click', () => this.#empty());
    this.#filter.addEventListener('input', () => this.#refilter());
    this.#tell();
  }

  /** Which category to follow. A tail that runs goes on with that one. */
  choose(category: string): void {
    if (category === this.#category) return;
    const wasRunning = this.#feed !== undefined;
    this.stop();
    this.#category = category;
    this.#empty();
    if (wasRunning && category !== '') this.start();
  }

  start(): void {
    if (this.#category === '' || this.#feed) return;
    this.#state = 'Connecting …';
    const feed = new TailFeed(this.#calls, {
      opened: () => this.#setState(`Live since ${formatTime(Date.now())}`),
      arrived: (lines) => this.#take(lines),
      broke: (sentence, isRetried) => {
        if (!isRetried) this.#feed = undefined;
        this.#setState(
          isRetried
            ? `${sentence} Trying again; messages of the time between are not shown`
            : sentence,
        );
      },
    });
    this.#feed = feed;
    void feed.run(this.#category);
    this.#tell();
  }

  stop(): void {
    this.#feed?.close();
    this.#feed = undefined;
    this.#state = '';
    this.#setPaused(false);
  }

  #setState(state: string): void {
    this.#state = state;
    this.#tell();
  }

  #setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#draw();
  }

  #take(lines: readonly Uint8Array[]): void {
    const atMs = Date.now();
    this.#arrivedCount += lines.length;
    const wanted = this.#filter.value.toLowerCase();
    // Without a filter only the last ones can be seen: the others need not be decoded.
    const from = wanted === '' ? Math.max(0, lines.length - messageCountMax) : 0;
    this.#passedOverCount += from;
    for (const line of lines.slice(from)) {
      const message = { ...toShown(line), atMs };
      if (message.text.toLowerCase().includes(wanted)) this.#waiting.push(message);
    }
    this.#passedOverCount += cutFront(this.#waiting);
    this.#timer ??= setTimeout(() => this.#draw(), drawIntervalMs);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isPaused && this.#waiting.length > 0) {
      const isAtEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
      this.#shown.push(...this.#waiting);
      // What is hidden cannot be scrolled.
      setAttribute(this.#list, 'hidden', false);
      this.#list.append(...this.#waiting.map(lineOf));
      this.#waiting = [];
      const cutCount = cutFront(this.#shown);
      this.#passedOverCount += cutCount;
      for (let count = cutCount; count > 0; count -= 1) this.#list.firstElementChild?.remove();
      if (isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
    }
    this.#tell();
  }

  /** What is in the list already follows the filter too. */
  #refilter(): void {
    const wanted = this.#filter.value.toLowerCase();
    const lines = [...this.#list.children];
    this.#shown.forEach((message, place) => {
      const line = lines[place];
      if (line) setAttribute(line, 'hidden', !message.text.toLowerCase().includes(wanted));
    });
  }

  #empty(): void {
    this.#waiting = [];
    this.#shown = [];
    this.#arrivedCount = 0;
    this.#passedOverCount = 0;
    this.#list.replaceChildren();
    this.#tell();
  }

  #tell(): void {
    const isRunning = this.#feed !== undefined;
    setText(this.#start, isRunning ? 'Stop' : 'Start');
    setAttribute(this.#start, 'disabled', this.#category === '');
    setText(this.#pause, this.#isPaused ? 'Go on' : 'Pause');
    setAttribute(this.#pause, 'disabled', !isRunning);
    setAttribute(this.#list, 'hidden', this.#shown.length === 0);
    setText(this.#status, this.#sentence());
  }

  #sentence(): string {
    if (this.#category === '') return 'Choose a category to follow what is written to it.';
    if (this.#state === '')
      return `Start to see what is written to ${this.#category} from then on.`;
    const passed =
      this.#passedOverCount > 0
        ? `, ${formatCount(this.#passedOverCount)} left the list or passed by`
        : '';
    const waiting = this.#isPaused ? `; paused, ${formatCount(this.#waiting.length)} wait` : '';
    const came = formatNumberOf(this.#arrivedCount, 'message');
    return `${this.#state.replace(/\.$/, '')}: ${came} came${passed}${waiting}.`;
  }
}

/** Makes the list keep its limits; returns how many messages went. */
function cutFront(messages: TailMessage[]): number {
  let textLength = 0;
  let from = messages.length;
  while (from > 0 && messages.length - from < messageCountMax) {
    textLength += messages[from - 1]?.text.length ?? 0;
    if (textLength > textLengthMax) break;
    from -= 1;
  }
  messages.splice(0, from);
  return from;
}

function lineOf(message: TailMessage): HTMLLIElement {
  return messageLine(message, formatTime(message.atMs));
}
