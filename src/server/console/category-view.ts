import { sentenceOf } from './call-error.js';
import { chunkColumns, newestFirst } from './chunk-columns.js';
import { part, setAttribute, setText } from './element.js';
import { formatBytes, formatNumberOf } from './format-figures.js';
import { LiveTable } from './live-table.js';
import type { NodeCalls } from './node-calls.js';
import type { ChunkReport } from './node-report.js';
import { PeekPanel } from './peek-panel.js';
import { TailPanel } from './tail-panel.js';

/** The chunks and the messages of the category that was chosen. */
export class CategoryView {
  readonly #calls: NodeCalls;
  readonly #title = part('chunks-title', HTMLElement);
  readonly #status = part('chunks-status', HTMLElement);
  readonly #peek: PeekPanel;
  readonly #tail: TailPanel;
  readonly #table: LiveTable<ChunkReport>;
  #category = '';
  #isAsking = false;

  constructor(calls: NodeCalls) {
    this.#calls = calls;
    this.#peek = new PeekPanel(calls);
    this.#tail = new TailPanel(calls);
    this.#table = new LiveTable({
      title: 'Chunks',
      keyOf: ({ name }) => name,
      columns: chunkColumns((chunk, from) => void this.#peek.open(this.#category, chunk, from)),
    });
    part('chunks-table', HTMLElement).append(this.#table.box);
    this.choose('');
  }

  /** The name that is chosen; empty for none. */
  get category(): string {
    return this.#category;
  }

  choose(category: string): void {
    this.#category = category;
    for (const id of ['chunks-title', 'peek-title', 'tail-title']) {
      const word = { 'chunks-title': 'Chunks', 'peek-title': 'Peek', 'tail-title': 'Live tail' }[
        id
      ];
      setText(part(id, HTMLElement), category === '' ? `${word}` : `${word} of ${category}`);
    }
    setText(this.#status, category === '' ? 'Choose a category to see its chunks.' : 'Asking …');
    this.#table.update([]);
    setAttribute(this.#table.box, 'hidden', true);
    this.#peek.clear();
    this.#tail.choose(category);
    if (category !== '') void this.refresh();
  }

  /** Asks for the chunks again; one call at a time. */
  async refresh(): Promise<void> {
    const category = this.#category;
    if (category === '' || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const chunks = await this.#calls.listChunks(category);
      if (category === this.#category) this.#show(chunks);
    } catch (error) {
      if (category === this.#category) setText(this.#status, sentenceOf(error));
    } finally {
      this.#isAsking = false;
    }
    if (category !== this.#category) void this.refresh();
  }

  #show(chunks: readonly ChunkReport[]): void {
    this.#table.update(newestFirst(chunks));
    setAttribute(this.#table.box, 'hidden', chunks.length === 0);
    const bytes = chunks.reduce((sum, { size }) => sum + size, 0);
    setText(
      this.#status,
      chunks.length === 0
        ? `${this.#category} has no chunks here: nothing was written, or all groups have acknowledged it.`
        : `${formatNumberOf(chunks.length, 'chunk')}, ${formatBytes(bytes)}, the newest first.`,
    );
    setAttribute(this.#title, 'data-count', String(chunks.length));
  }
}
