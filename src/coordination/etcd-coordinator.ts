import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { ChangeSignal } from '../common/wait.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type {
  Coordinator,
  CoordinatorEntry,
  CoordinatorSnapshot,
  CoordinatorStatus,
  ExpectedVersion,
  PutOutcome,
} from './coordinator.js';
import { EtcdLink } from './etcd-link.js';
import { Etcd3Member } from './etcd-member.js';
import {
  type ChangeAnswer,
  type EtcdCredentials,
  EtcdFailure,
  type EtcdSession,
  type TableChange,
} from './etcd-port.js';
import { EtcdPulse } from './etcd-pulse.js';
import { LeaseKeeper } from './lease-keeper.js';
import { SnapshotKeeper } from './snapshot-keeper.js';
import { TableCopy, withoutLease } from './table-copy.js';
import { checkCluster, checkKey, checkValue } from './table-limits.js';
import { TableMirror } from './table-mirror.js';

export interface EtcdCoordinatorLimits {
  /** How long one try of a call may take. @default 1500 ms: an election of etcd takes 1 s by default */
  readonly callMsMax: number;
  /** How long all tries of a call may take together. @default 3000 ms */
  readonly triesMsMax: number;
  /** How long the first reading of the table is waited for. @default 3000 ms */
  readonly openMsMax: number;
  /** How long letting go and the last save may take. @default 900 ms, a second less what timers are late */
  readonly closeMsMax: number;
  /** How long what is held stays after its holder has died. @default 10 s, as etcd's own members take */
  readonly leaseSeconds: number;
  /** How often the whole table is read, whatever the watch tells. @default 30000 ms */
  readonly reconcileIntervalMs: number;
  /** How long after a save of the snapshot the next one begins at least. @default 1000 ms */
  readonly snapshotIntervalMs: number;
}

export interface EtcdCoordinatorOptions extends Partial<EtcdCoordinatorLimits> {
  /** The members of etcd as `http://host:port`; one is used until it fails. */
  readonly hosts: readonly string[];
  /** Clusters of different names share one etcd; everything of one is below `/chukcha/<cluster>/`. */
  readonly cluster: string;
  /** Asked for each new connection; only `https` addresses get the files of TLS. @default none */
  readonly credentials?: () => EtcdCredentials;
}

export interface EtcdCoordinatorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly snapshot: CoordinatorSnapshot;
}

const limitDefaults: EtcdCoordinatorLimits = {
  callMsMax: 1_500,
  triesMsMax: 3_000,
  openMsMax: 3_000,
  closeMsMax: 900,
  leaseSeconds: 10,
  reconcileIntervalMs: 30_000,
  snapshotIntervalMs: 1_000,
};

/**
 * The table in etcd. The link knows which member is used and whether it answers, the mirror keeps the copy like the
 * table, the keeper holds entries, the snapshot is for the next start; changes go straight to the table.
 *
 * Loading etcd3 takes a third of a second, so a node that stands alone should not import this file.
 *
 * Versions are revisions of etcd. They begin again when its data is wiped: a change that was decided upon before and
 * is made after may then hit another value.
 */
export class EtcdCoordinator implements Coordinator {
  readonly changed = new ChangeSignal();
  readonly #limits: EtcdCoordinatorLimits;
  readonly #clock: Clock;
  readonly #copy = new TableCopy();
  readonly #link: EtcdLink;
  readonly #mirror: TableMirror;
  readonly #pulse: EtcdPulse;
  readonly #leases: LeaseKeeper;
  readonly #snapshots: SnapshotKeeper;
  #closing: Promise<void> | undefined;

  private constructor(options: EtcdCoordinatorOptions, ports: EtcdCoordinatorPorts) {
    const { hosts, cluster, credentials = () => ({}), ...limits } = options;
    if (hosts.length === 0)
      throw new RangeError('There is no address of etcd: expected one or more.');
    checkCluster(cluster);
    this.#limits = { ...limitDefaults, ...limits };
    this.#clock = ports.clock;
    const { callMsMax, triesMsMax, leaseSeconds, reconcileIntervalMs } = this.#limits;
    const session: EtcdSession = { credentials, token: undefined };
    const connect = (host: string): Etcd3Member => {
      return new Etcd3Member(host, `/chukcha/${cluster}/`, session, ports.clock);
    };
    const { changed } = this;
    this.#link = new EtcdLink({ hosts, callMsMax, triesMsMax }, { ...ports, connect, changed });
    this.#pulse = new EtcdPulse(this.#link, ports.clock);
    const parts = { ...ports, copy: this.#copy, link: this.#link, changed };
    this.#mirror = new TableMirror({ callMsMax, reconcileIntervalMs }, parts);
    const change = (wanted: TableChange): Promise<ChangeAnswer> => this.#change(wanted);
    this.#leases = new LeaseKeeper(leaseSeconds, { ...parts, change });
    const intervalMs = this.#limits.snapshotIntervalMs;
    this.#snapshots = new SnapshotKeeper({ cluster, intervalMs }, parts);
  }

  /**
   * Loads the snapshot, and waits some seconds for etcd; without it, the copy is the snapshot until it is there.
   * Throws a RangeError for options that are not allowed.
   */
  static async open(
    options: EtcdCoordinatorOptions,
    ports: EtcdCoordinatorPorts,
  ): Promise<EtcdCoordinator> {
    const coordinator = new EtcdCoordinator(options, ports);
    await coordinator.#snapshots.load();
    coordinator.#mirror.start();
    coordinator.#pulse.start();
    coordinator.#snapshots.start();
    await coordinator.#within(coordinator.#mirror.firstList, coordinator.#limits.openMsMax);
    return coordinator;
  }

  get status(): CoordinatorStatus {
    const { problem, answeredAtMs } = this.#link;
    return {
      isAvailable: problem === undefined,
      problem,
      ...(this.#link.isDenied && { isDenied: true }),
      isCurrent: this.#mirror.isCurrent,
      answeredMsAgo:
        answeredAtMs === undefined ? undefined : this.#clock.monotonicMs() - answeredAtMs,
    };
  }

  get(key: string): CoordinatorEntry | undefined {
    const found = this.#copy.get(key);
    return found && withoutLease(found);
  }

  list(prefix: string): readonly (readonly [key: string, entry: CoordinatorEntry])[] {
    return this.#copy.list(prefix);
  }

  async put(key: string, value: string, expected: ExpectedVersion): Promise<PutOutcome> {
    checkKey(key);
    checkValue(key, value);
    return this.#answer(`put ${key}`, () =>
      this.#leases.changing(key, value, () => this.#change({ key, value, expected })),
    );
  }

  async remove(key: string, version: number): Promise<PutOutcome> {
    checkKey(key);
    const change: TableChange = { key, value: undefined, expected: version };
    return this.#answer(`remove ${key}`, () =>
      this.#leases.changing(key, undefined, () => this.#change(change)),
    );
  }

  async hold(key: string, value: string, isOwn: (value: string) => boolean): Promise<PutOutcome> {
    checkKey(key);
    checkValue(key, value);
    return this.#answer(`hold ${key}`, () => this.#leases.hold(key, value, isOwn));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { closeMsMax } = this.#limits;
    const ends = [this.#leases.close(closeMsMax), this.#snapshots.close()];
    await this.#within(Promise.all(ends), closeMsMax);
    this.#link.close();
    await this.#pulse.close();
    await this.#mirror.close();
    this.changed.notify();
  }

  /** Makes a change in the table, and then in the copy. */
  async #change(change: TableChange): Promise<ChangeAnswer> {
    const { seenRevision } = this.#copy;
    const answer = await this.#link.change((member, limitMs) => member.change(change, limitMs));
    if (answer.revision < seenRevision) {
      // The data of etcd was wiped, and the copy is of the old one: what is in it is not older than the answer.
      await this.#mirror.list();
    } else if (this.#copy.apply({ key: change.key, ...answer })) this.changed.notify();
    return answer;
  }

  async #answer(what: string, run: () => Promise<ChangeAnswer>): Promise<PutOutcome> {
    try {
      const { done, entry } = await run();
      return { done, entry: entry && withoutLease(entry) };
    } catch (error) {
      if (!(error instanceof EtcdFailure)) throw error;
      throw toUnavailable(what, error);
    }
  }

  /** Waits, but not for longer. */
  async #within(promise: Promise<unknown>, limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(limitMs, resolve);
      void promise.finally(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

function toUnavailable(what: string, failure: EtcdFailure): ChukchaError {
  const wasMade =
    failure.kind === 'unreachable'
      ? 'It may have been done all the same: look again when etcd answers.'
      : 'Nothing was changed: try again later.';
  return new ChukchaError(
    'coordination_unavailable',
    `Could not ${what} in etcd (${errorMessage(failure)}). ${wasMade}`,
    { cause: failure },
  );
}
