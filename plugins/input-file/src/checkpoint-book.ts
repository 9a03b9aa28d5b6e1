import type { PluginState } from '@chukcha/plugin-api';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from './checkpoint.js';
import { createGenerationId } from './generation-id.js';

interface PendingWrite {
  value: unknown;
  isWaiting: boolean;
  current: Promise<void> | undefined;
}

/**
 * The checkpoints of all generations. A value that is saved while an earlier one of the same generation is being
 * written waits for that, and only the last of those that wait is written.
 */
export class CheckpointBook {
  readonly #state: PluginState;
  readonly #pending = new Map<string, PendingWrite>();

  constructor(state: PluginState) {
    this.#state = state;
  }

  /** All checkpoints. Those of version 1 are replaced by their like of this version. */
  async load(): Promise<Checkpoint[]> {
    const checkpoints: Checkpoint[] = [];
    for (const [key, value] of [...this.#state.entries()]) {
      const checkpoint = parseCheckpoint(key, value, createGenerationId);
      if (checkpoint === undefined) continue;
      checkpoints.push(checkpoint);
      if (checkpoint.id === key) continue;
      await this.save(checkpoint);
      await this.#state.set(key, undefined);
    }
    return checkpoints;
  }

  /** Resolves when this checkpoint or a later one of the generation is durable. */
  save(checkpoint: Checkpoint): Promise<void> {
    return this.#write(checkpoint.id, formatCheckpoint(checkpoint));
  }

  /** Resolves when there is no checkpoint of the generation any more. */
  remove(id: string): Promise<void> {
    return this.#write(id, undefined);
  }

  /** Resolves when everything that was saved is durable, also when writing it failed: `save` told so. */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.#pending.values()].map(({ current }) => current));
  }

  #write(id: string, value: unknown): Promise<void> {
    const pending = this.#pending.get(id) ?? { value, isWaiting: true, current: undefined };
    pending.value = value;
    pending.isWaiting = true;
    this.#pending.set(id, pending);
    pending.current ??= this.#writeAll(id, pending);
    return pending.current;
  }

  async #writeAll(id: string, pending: PendingWrite): Promise<void> {
    try {
      while (pending.isWaiting) {
        pending.isWaiting = false;
        await this.#state.set(id, pending.value);
      }
    } finally {
      // In the same turn as the last look at what waits, so that nothing joins a write that is over.
      this.#pending.delete(id);
    }
  }
}
