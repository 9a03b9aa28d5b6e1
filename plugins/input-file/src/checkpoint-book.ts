import type { PluginState } from '@chukcha/plugin-api';
import { type Checkpoint, parseCheckpoint } from './checkpoint.js';

/** The place of one file's checkpoint. */
export interface CheckpointPlace {
  /** The checkpoint of an earlier run. */
  readonly saved: Checkpoint | undefined;
  /**
   * Resolves when this checkpoint or a later one of the place is durable; `undefined` removes it. Does
   * nothing once the place was claimed anew.
   */
  save(checkpoint: Checkpoint | undefined): Promise<void>;
}

/**
 * The checkpoints of all files. A value that is saved while an earlier one of the same file is being
 * written waits for that, and only the last of those that wait is written.
 */
export class CheckpointBook {
  readonly #state: PluginState;
  readonly #owners = new Map<string, CheckpointPlace>();
  readonly #writes = new Set<Promise<void>>();

  constructor(state: PluginState) {
    this.#state = state;
  }

  /**
   * The place of a file. Whoever claimed it before has lost it: an inode that is reused belongs to
   * the new file, and a late ack of the old one must not move it.
   */
  claim(key: string): CheckpointPlace {
    let waiting: { readonly value: Checkpoint | undefined } | undefined;
    let current: Promise<void> | undefined;
    const writeAll = async (): Promise<void> => {
      try {
        while (waiting !== undefined && this.#owners.get(key) === place) {
          const { value } = waiting;
          waiting = undefined;
          await this.#state.set(key, value);
        }
      } finally {
        // In the same turn as the last look at what waits, so that nothing joins a write that is over.
        current = undefined;
      }
    };
    const place: CheckpointPlace = {
      saved: parseCheckpoint(this.#state.get(key)),
      save: (value) => {
        waiting = { value };
        current ??= this.#track(writeAll());
        return current;
      },
    };
    this.#owners.set(key, place);
    return place;
  }

  /** Resolves when everything that was saved is durable, also when writing it failed: `save` told so. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  #track(write: Promise<void>): Promise<void> {
    this.#writes.add(write);
    const forget = (): void => {
      this.#writes.delete(write);
    };
    write.then(forget, forget);
    return write;
  }
}
