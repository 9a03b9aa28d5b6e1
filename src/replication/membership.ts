import type { ChangeSignal } from '../common/wait.js';
import type { ReplicaHello } from '../protocol/replication.js';

/** Another node of the cluster, that chunks are exchanged with. */
export interface Peer {
  readonly name: string;
  /** Where it is reached. */
  readonly url: string;
}

/** Who belongs to the cluster, as this node knows it. */
export interface Membership {
  /** What this node says of itself when it opens a stream. */
  readonly hello: ReplicaHello;
  /** All members but this node that are not lost and not removed. */
  readonly peers: readonly Peer[];
  /** Notified when any of this may have changed. */
  readonly changed: ChangeSignal;
  /** Throws `membership_refused` for a node that is no peer. */
  check(hello: ReplicaHello): void;
}
