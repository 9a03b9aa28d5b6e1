import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import { createDeferred } from '../common/deferred.js';
import type { Logger } from '../common/logger.js';
import { Mutex } from '../common/mutex.js';
import type { Random } from '../common/random.js';
import { type ChangeSignal, sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { EtcdLink } from './etcd-link.js';
import { EtcdFailure, type TableEvent } from './etcd-port.js';
import type { TableCopy } from './table-copy.js';

export interface TableMirrorOptions {
  readonly callMsMax: number;
  /** How long after a list the next one is asked for, in milliseconds, whatever the watch tells. */
  readonly reconcileIntervalMs: number;
}

export interface TableMirrorPorts {
  readonly copy: TableCopy;
  readonly link: EtcdLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Notified when the copy has changed. */
  readonly changed: ChangeSignal;
}

/** Asking once a second costs an etcd that is back nothing, and it is not missed for longer. */
const awayBackoff = { firstDelayMs: 100, delayMsMax: 1_000 };

/**
 * Keeps the copy like the table. It lists everything at some revision and watches from there on; when the watch
 * ends, or any other call has failed, it begins anew. No watch is trusted to go on where another one has ended:
 * what lies between may have been compacted, or etcd may have lost its data.
 */
export class TableMirror {
  readonly #options: TableMirrorOptions;
  readonly #ports: TableMirrorPorts;
  readonly #stop = new AbortController();
  readonly #lists = new Mutex();
  readonly #firstList = createDeferred<void>();
  #isCurrent = false;
  /** The last change that a list has shown, and the last one that the watch has told of. */
  #newestListed = 0;
  #newestWatched = 0;
  #running: Promise<void> | undefined;

  constructor(options: TableMirrorOptions, ports: TableMirrorPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Whether the table was read since the start. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** Resolves when the table was read for the first time. */
  get firstList(): Promise<void> {
    return this.#firstList.promise;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops; the link has to be closed before, which ends what is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Makes the copy like the table is now. Throws an {@link EtcdFailure}. */
  list(): Promise<void> {
    return this.#lists.run(async () => {
      const { copy, link, log, changed } = this.#ports;
      const { seenRevision } = copy;
      const list = await link.call((member, limitMs) => member.list(limitMs));
      const outcome = copy.applyList(list, seenRevision);
      log.debug('Read the whole table of etcd.', {
        revision: list.revision,
        entries: list.entries.size,
      });
      this.#newestListed = 0;
      for (const { version } of list.entries.values()) {
        this.#newestListed = Math.max(this.#newestListed, version);
      }
      if (outcome.wentBack) {
        log.warn('The data of etcd is older than before: it was wiped or restored.', {
          seenRevision,
          revision: list.revision,
        });
        // The watch still waits for the revision after the old ones.
        link.renew(link.member);
      }
      if (!outcome.changed && this.#isCurrent) return;
      this.#isCurrent = true;
      this.#firstList.resolve();
      changed.notify();
    });
  }

  async #run(): Promise<void> {
    const { clock, random, link } = this.#ports;
    const { signal } = this.#stop;
    let backoff = new Backoff(random, awayBackoff);
    while (!signal.aborted) {
      try {
        await this.list();
        await this.#follow(() => {
          backoff = new Backoff(random, awayBackoff);
        });
      } catch (error) {
        if (signal.aborted) return;
        // The link knows of what was not answered, but takes a refusal for the fault of the one call.
        if (!(error instanceof EtcdFailure)) this.#noteFault(error);
        else if (error.kind === 'refused') link.noteFailure(link.member, error);
      }
      await sleep(clock, backoff.nextDelayMs(), signal).catch(() => undefined);
    }
  }

  /** Follows the table from the last list on, for as long as the watch and the member last; always throws. */
  async #follow(onStarted: () => void): Promise<never> {
    const { copy, link, log } = this.#ports;
    const { member } = link;
    const ended = new AbortController();
    this.#newestWatched = 0;
    const following = member.follow(
      copy.listedRevision,
      this.#options.callMsMax,
      () => {
        onStarted();
        log.debug('Watching the table of etcd.', { afterRevision: copy.listedRevision });
        link.noteSuccess(member);
      },
      (events) => this.#takeOver(events),
    );
    const reconciling = this.#reconcile(ended.signal);
    try {
      return await following;
    } catch (error) {
      if (error instanceof EtcdFailure) link.noteFailure(member, error);
      throw error;
    } finally {
      ended.abort();
      await reconciling;
    }
  }

  #takeOver(events: readonly TableEvent[]): void {
    const { copy, changed } = this.#ports;
    let hasChanged = false;
    for (const event of events) {
      this.#newestWatched = Math.max(this.#newestWatched, event.revision);
      if (copy.apply(event)) hasChanged = true;
    }
    if (hasChanged) changed.notify();
  }

  /** Lists from time to time while the watch goes on, in case that it tells nothing any more; never rejects. */
  async #reconcile(signal: AbortSignal): Promise<void> {
    const { clock, link, log } = this.#ports;
    const { member } = link;
    const firstRevision = this.#newestListed;
    for (;;) {
      try {
        await sleep(clock, this.#options.reconcileIntervalMs, signal);
      } catch {
        return;
      }
      if (this.#newestListed > Math.max(firstRevision, this.#newestWatched)) {
        log.warn('The watch of etcd has told nothing of a change: it is begun anew.', {
          host: member.host,
          revision: this.#newestListed,
        });
        link.renew(member);
        return;
      }
      try {
        await this.list();
      } catch (error) {
        // The link has left the member, so the watch ends too; or etcd refuses, and the next list tells.
        if (!(error instanceof EtcdFailure)) this.#noteFault(error);
      }
    }
  }

  #noteFault(error: unknown): void {
    this.#ports.log.error('The copy of what nodes agree on could not be renewed; this is a bug.', {
      reason: errorMessage(error),
    });
  }
}
