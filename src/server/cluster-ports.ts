import type { Socket } from 'node:net';
import type { ChukchaError } from '../protocol/chukcha-error.js';
import type {
  GroupRegistration,
  GroupRemoval,
  GroupStart,
  NodeChange,
} from '../protocol/http-api.js';
import type { ReplicaHello } from '../protocol/replication.js';

/** A batch of this node that waits for peers. */
export interface ReplicatedBatch {
  readonly category: string;
  readonly chunk: string;
  /** Where the batch ends in the chunk. */
  readonly end: number;
  readonly replicaCount: number;
  /** Whether it has to be durable at the peers. */
  readonly isDurable: boolean;
  /** Called once: enough peers have it, or the time is over and only so many have. */
  confirmed(): void;
  overdue(replicaCount: number): void;
}

/** What a node that is a member of a cluster does besides for clients. */
export interface ClusterPorts {
  /** Why no batch can be stored now that asks for so many peers, or for none; `undefined` when one can. */
  refusal(replicaCount: number): ChukchaError | undefined;
  /** To be called before a batch is stored that has to be durable at peers; the return ends that. */
  wantDurable(category: string): () => void;
  /** Waits until enough peers have a batch. */
  wait(batch: ReplicatedBatch): void;
  /**
   * Takes over the socket of a stream that a peer has opened, with what came behind its request. Throws
   * `membership_refused`; the socket is as it was then.
   */
  acceptReplica(hello: ReplicaHello, socket: Socket, bytes: Buffer): void;
  /** As `PUT /groups/<group>`. Throws `coordination_unavailable`. */
  registerGroup(category: string, group: string, from: GroupStart): Promise<GroupRegistration>;
  /** As `DELETE /groups/<group>`. Throws `coordination_unavailable`. */
  removeGroup(category: string, group: string): Promise<GroupRemoval>;
  /** Changes what a member is. Throws `membership_refused` or `coordination_unavailable`. */
  changeMember(name: string, change: NodeChange, force: boolean): Promise<void>;
}
