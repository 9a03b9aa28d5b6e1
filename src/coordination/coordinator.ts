import type { ChangeSignal } from '../common/wait.js';

/** One entry of the table. */
export interface CoordinatorEntry {
  readonly value: string;
  /** Rises with every change of the entry, and is never used again for another value of it. */
  readonly version: number;
}

/** What became of a change: whether it was made, and the entry as it is now; `undefined` when there is none. */
export interface PutOutcome {
  readonly done: boolean;
  readonly entry: CoordinatorEntry | undefined;
}

/** Which state of an entry a change is meant for: its version, or that there is none. */
export type ExpectedVersion = number | 'absent';

export interface CoordinatorStatus {
  /** Whether the last call or watch worked. */
  readonly isAvailable: boolean;
  /** What it failed with last, as a sentence; `undefined` while it is available. */
  readonly problem: string | undefined;
  /** Whether it answers and does not let this node in, which somebody has to mend. @default false */
  readonly isDenied?: boolean;
  /** Whether the table was read since the start; before, it is what an earlier start has left. */
  readonly isCurrent: boolean;
  /** How long ago the table has answered last, in milliseconds; `undefined` when it never has. */
  readonly answeredMsAgo: number | undefined;
}

/**
 * What the nodes of a cluster have to agree on: a small table of texts, the same for all of them. Nothing in it is
 * per write, per chunk or per acknowledgement, and nothing that a node does for writers and readers waits for it.
 *
 * Each node has a copy, which follows the table and may be behind it. Reading is reading the copy. A change is
 * made in the table itself, only if the entry is as the caller expects, and is in the copy when the call resolves.
 * Keys are paths such as `members/node1`, of `A-Z a-z 0-9 _ - /`.
 *
 * Changes throw `coordination_unavailable` when the table cannot be reached within a time limit; the change may
 * have been made all the same, and the copy shows it when the table is back.
 */
export interface Coordinator {
  readonly status: CoordinatorStatus;
  /** Notified when the copy or the status has changed. */
  readonly changed: ChangeSignal;

  /** The entry in the copy. */
  get(key: string): CoordinatorEntry | undefined;

  /** The entries of the copy whose keys begin with a prefix, sorted by key. */
  list(prefix: string): readonly (readonly [key: string, entry: CoordinatorEntry])[];

  /** Creates or replaces an entry, if it is as expected. */
  put(key: string, value: string, expected: ExpectedVersion): Promise<PutOutcome>;

  /** Removes an entry, if it has the version. */
  remove(key: string, version: number): Promise<PutOutcome>;

  /**
   * Keeps an entry there while this process runs, if there is none: when the process has ended or is cut off, the
   * entry goes by itself after some seconds, and when it has gone although the process runs, it is made anew. An
   * entry that was left by an earlier process is replaced when `isOwn` says so of its value.
   *
   * @returns whether it is there now; when not, another process holds it
   */
  hold(key: string, value: string, isOwn: (value: string) => boolean): Promise<PutOutcome>;

  /** Lets go of what is held, for a second at most, and ends; idempotent. Never rejects. */
  close(): Promise<void>;
}

/** Where the copy of the table is kept between two starts. */
export interface CoordinatorSnapshot {
  /** What was saved last; `undefined` when there is nothing. */
  load(): Promise<string | undefined>;
  /** Durable when it resolves. */
  save(text: string): Promise<void>;
}
