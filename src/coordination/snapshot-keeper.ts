import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { type ChangeSignal, sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { CoordinatorSnapshot } from './coordinator.js';
import type { TableCopy } from './table-copy.js';

export interface SnapshotKeeperOptions {
  readonly cluster: string;
  /** How long after a save the next one begins at least, in milliseconds. */
  readonly intervalMs: number;
}

export interface SnapshotKeeperPorts {
  readonly copy: TableCopy;
  readonly snapshot: CoordinatorSnapshot;
  readonly clock: Clock;
  readonly log: Logger;
  /** Notified when the copy has changed. */
  readonly changed: ChangeSignal;
}

/** Saves the copy for the next start after it has changed, many changes at a time. */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  readonly #ports: SnapshotKeeperPorts;
  readonly #stop = new AbortController();
  /** The count of changes that the last save has in it. */
  #savedChangeCount = 0;
  #hasFailed = false;
  #running: Promise<void> | undefined;

  constructor(options: SnapshotKeeperOptions, ports: SnapshotKeeperPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Fills the copy with what was saved last; one that cannot be used counts as none. Never rejects. */
  async load(): Promise<void> {
    const { copy, snapshot, log } = this.#ports;
    try {
      const text = await snapshot.load();
      if (text !== undefined) copy.load(text, this.#options.cluster);
    } catch (error) {
      log.error(
        'The saved copy of what nodes agree on cannot be used: nothing is known of the cluster until etcd answers.',
        { reason: errorMessage(error) },
      );
    }
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Saves what was not saved yet; never rejects. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#save();
  }

  async #run(): Promise<void> {
    const { clock, changed } = this.#ports;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#isSaved) {
        await changed.wait({ clock, signal });
        continue;
      }
      await this.#save();
      await sleep(clock, this.#options.intervalMs, signal).catch(() => undefined);
    }
  }

  get #isSaved(): boolean {
    return this.#savedChangeCount === this.#ports.copy.lastingChangeCount;
  }

  async #save(): Promise<void> {
    if (this.#isSaved) return;
    const { copy, snapshot, log } = this.#ports;
    const { lastingChangeCount } = copy;
    try {
      await snapshot.save(copy.toSnapshot(this.#options.cluster));
      this.#savedChangeCount = lastingChangeCount;
      this.#hasFailed = false;
    } catch (error) {
      // Once for a disk that stays full, not with every try.
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      log.error('The copy of what nodes agree on could not be saved; it is tried again.', {
        reason: errorMessage(error),
      });
    }
  }
}
