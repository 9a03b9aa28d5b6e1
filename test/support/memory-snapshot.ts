import type { CoordinatorSnapshot } from '../../src/coordination/coordinator.js';

/** Keeps the saved copy of a table in memory, from one coordinator of a test to the next. */
export class MemorySnapshot implements CoordinatorSnapshot {
  text: string | undefined;
  saveCount = 0;

  async load(): Promise<string | undefined> {
    return this.text;
  }

  async save(text: string): Promise<void> {
    this.saveCount += 1;
    this.text = text;
  }
}
