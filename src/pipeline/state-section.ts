import type { PluginState } from '@chukcha/plugin-api';
import type { StateJournal } from './state-journal.js';

/** The part of a journal with one prefix, so that those who share a journal cannot meet. */
export class StateSection implements PluginState {
  readonly #journal: StateJournal;
  readonly #prefix: string;

  constructor(journal: StateJournal, name: 'input' | 'ship' | 'sink') {
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
