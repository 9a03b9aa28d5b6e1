import type { PluginState } from '@chukcha/plugin-api';
import type { StateJournal } from './state-journal.js';

type SectionName = 'input' | 'ship' | 'sink';

/** A part of a journal as it was at one moment; what is changed in it is kept nowhere. */
export class StateSnapshot implements PluginState {
  readonly #entries: Map<string, unknown>;

  constructor(journal: ReadonlyMap<string, unknown>, name: SectionName) {
    const prefix = `${name}/`;
    this.#entries = new Map(
      [...journal].flatMap(([key, value]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
      ),
    );
  }

  get(key: string): unknown {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<readonly [key: string, value: unknown]> {
    return this.#entries.entries();
  }

  async set(key: string, value: unknown): Promise<void> {
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }
}

/** The part of a journal with one prefix, so that those who share a journal cannot meet. */
export class StateSection implements PluginState {
  readonly #journal: StateJournal;
  readonly #prefix: string;

  constructor(journal: StateJournal, name: SectionName) {
    this.#journal = journal;
    this.#prefix = `${name}/`;
  }

  get(key: string): unknown {
    return this.#journal.get(this.#prefix + key);
  }

  *entries(): IterableIterator<readonly [key: string, value: unknown]> {
    for (const [key, value] of this.#journal.entries()) {
      if (key.startsWith(this.#prefix)) yield [key.slice(this.#prefix.length), value];
    }
  }

  set(key: string, value: unknown): Promise<void> {
    return this.#journal.set(this.#prefix + key, value);
  }
}
