import type { ExpectedVersion } from './coordinator.js';

/** What the coordinator needs of etcd; the rest of it is code over these calls. */

/** An entry as etcd has it; its version is the revision of the table at which it got its value. */
export interface StoredEntry {
  readonly value: string;
  readonly version: number;
  /** The lease with which the entry goes; {@link noLease} for one that stays. */
  readonly leaseId: string;
}

/** What etcd calls the lease of an entry that has none. */
export const noLease = '0';

/** The whole table at one revision. */
export interface TableList {
  readonly revision: number;
  readonly entries: ReadonlyMap<string, StoredEntry>;
}

/** What an entry became at a revision; `undefined` when it was removed. */
export interface TableEvent {
  readonly key: string;
  readonly entry: StoredEntry | undefined;
  readonly revision: number;
}

/** A change that is made only if the entry is as expected. */
export interface TableChange {
  readonly key: string;
  readonly expected: ExpectedVersion;
  /** `undefined` removes the entry. */
  readonly value: string | undefined;
  /** The lease that the entry gets; without it, it keeps the one that it has. */
  readonly leaseId?: string;
}

/** What became of a change, and the entry as it is at the revision. */
export interface ChangeAnswer extends Omit<TableEvent, 'key'> {
  readonly done: boolean;
}

/**
 * What went wrong with a call:
 * - `lease lost`: etcd does not know the lease (any more)
 * - `refused`: etcd has answered, and will not do it; nothing was changed
 * - `denied`: etcd does not know who asks: user or password are missing or wrong; nothing was changed
 * - `not sent`: there was no connection, so nothing was changed
 * - `unreachable`: no answer, so it is not known whether anything was changed
 */
export type EtcdFailureKind = 'lease lost' | 'refused' | 'denied' | 'not sent' | 'unreachable';

/** How to show etcd who this is, and to know etcd: PEM and words, as they are now. */
export interface EtcdCredentials {
  readonly user?: string;
  readonly password?: string;
  /** The authorities whose certificates are taken. @default those of the system */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** As whom etcd is called, by one connection after another. */
export interface EtcdSession {
  readonly credentials: () => EtcdCredentials;
  /** What etcd has given for user and password, empty when it asked for none; all members of etcd know it. */
  token: string | undefined;
}

/** A call of etcd that failed. */
export class EtcdFailure extends Error {
  readonly kind: EtcdFailureKind;

  constructor(kind: EtcdFailureKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'EtcdFailure';
    this.kind = kind;
  }
}

/**
 * Connections to one member of etcd. Every call has a time limit and throws an {@link EtcdFailure}; nothing is
 * tried twice. Once closed, it is not used again.
 */
export interface EtcdMember {
  readonly host: string;

  /** Resolves when etcd has answered something that a majority of its members agrees on. */
  ask(limitMs: number): Promise<void>;

  list(limitMs: number): Promise<TableList>;
  change(change: TableChange, limitMs: number): Promise<ChangeAnswer>;

  /**
   * Calls `onEvents` for what happens after a revision, in order, until the watch or the member ends; never
   * resolves. The limit is for its beginning; `onStarted` is called when it has begun.
   */
  follow(
    afterRevision: number,
    limitMs: number,
    onStarted: () => void,
    onEvents: (events: readonly TableEvent[]) => void,
  ): Promise<never>;

  /** Returns the id of a new lease. */
  grantLease(ttlSeconds: number, limitMs: number): Promise<string>;
  /** Gives a lease its whole time again; throws `lease lost` when it has gone. */
  keepLease(leaseId: string, limitMs: number): Promise<void>;
  /** Ends a lease, and with it its entries. */
  revokeLease(leaseId: string, limitMs: number): Promise<void>;

  /** Gives up what is under way, and ends. */
  close(): void;
}
