import type { PipelineStatus } from './pipeline-report.js';

/** Paths, parameters and headers of a node's HTTP interface; `docs/http-api.md` describes them. */
export const paths = {
  write: '/write',
  read: '/read',
  ack: '/ack',
  listChunks: '/listChunks',
  listCategories: '/listCategories',
  groups: '/groups',
  leases: '/leases',
  seal: '/seal',
  stream: '/stream',
  status: '/status',
  nodes: '/nodes',
  pipelines: '/pipelines',
  live: '/livez',
  ready: '/readyz',
  metrics: '/metrics',
  console: '/console',
  produce: '/produce',
  consume: '/consume',
} as const;

export const headers = {
  /** `open`, `sealed`, `acked` or `pending`: what is known of the chunk that was asked for. */
  chunkState: 'chukcha-chunk-state',
  /** The size of the chunk on this node, in bytes. */
  chunkSize: 'chukcha-chunk-size',
  /** The offset to go on reading at. */
  nextOffset: 'chukcha-next-offset',
  /** The node that wrote the chunk. */
  owner: 'chukcha-owner',
  /** How many bytes of the chunk on this node lie behind the answer. */
  lag: 'chukcha-lag',
  /** The id of the cluster, or of the lone node's data directory, that the chunks belong to. */
  clusterId: 'chukcha-cluster-id',
  /** The state of a category's list of chunks; opaque, changes when a chunk appears, is sealed or goes. */
  listVersion: 'chukcha-list-version',
  /** Who sends a batch, and as which of its batches, both or none: one that was stored before is not stored again. */
  producer: 'chukcha-producer',
  sequence: 'chukcha-sequence',
} as const;

/** The group that is meant when none is named. */
export const groupNameDefault = 'default';

/** The category and the server that are meant when none is named. */
export const categoryNameDefault = 'logs';
export const serverUrlDefault = 'http://127.0.0.1:8080';

export type ChunkState = 'open' | 'sealed' | 'acked' | 'pending';

/** One chunk as `/listChunks` shows it. `complete` means that it is sealed and whole on this node. */
export interface ListedChunk {
  readonly name: string;
  readonly complete: boolean;
  readonly size: number;
}

/** The answer to `/write`. */
export interface WriteReceipt {
  /** `null` for a duplicate whose first copy is gone. */
  readonly chunk: string | null;
  /** Where the batch starts in the chunk. */
  readonly offset: number | null;
  readonly size: number;
  /** Whether the batch was stored before, under the same producer and sequence, and not again. */
  readonly duplicate: boolean;
}

/** Some chunks, in sum. */
export interface HeldChunks {
  readonly chunks: number;
  readonly bytes: number;
}

/** What a group has still to acknowledge on a node; a part of the first chunks may be processed already. */
export interface GroupBacklog extends HeldChunks {
  readonly group: string;
}

/** The longest time for which a lease holds without another word, in milliseconds. */
export const leaseMsMax = 60_000;

/** The answer to all calls of `/leases/<group>`. */
export interface LeaseAnswer {
  readonly category: string;
  readonly group: string;
  /** Who drains the category for the group; `null` when nobody does. */
  readonly holder: string | null;
  /** For how long that holds without another word. */
  readonly expiresInMs: number;
}

/** Where a group that is new begins: with what is there, or with what comes. */
export type GroupStart = 'earliest' | 'latest';

/** The answer to `PUT /groups/<group>`. */
export interface GroupRegistration {
  readonly category: string;
  readonly group: string;
  readonly from: GroupStart;
  /** False for a group that was registered before; it stays as it was. */
  readonly created: boolean;
  /** What was deleted because no group waits for it any more: as the first group, `latest` wants none of it. */
  readonly freedChunks: number;
  readonly freedBytes: number;
}

/** The answer to `DELETE /groups/<group>`. */
export interface GroupRemoval {
  readonly category: string;
  readonly group: string;
  /** Whether there was such a group. */
  readonly removed: boolean;
  /** The chunks that only this group still held, and that are deleted now. */
  readonly freedChunks: number;
  readonly freedBytes: number;
}

/** The answer to `/seal`: what to acknowledge now; `null` when no chunk was open. */
export interface SealReceipt {
  readonly category: string;
  readonly chunk: string | null;
  readonly size: number | null;
}

/** What a node holds of a category, and what its groups have still to acknowledge. */
export interface CategoryStatus extends HeldChunks {
  readonly name: string;
  /** Bytes that clients have written to this node since its start; what was a duplicate is not among them. */
  readonly writtenBytes: number;
  /** Bytes that came here since the start as copies of what other nodes wrote. */
  readonly copiedBytes: number;
  /** Bytes that were sent to readers since the start; the same message counts for each of them. */
  readonly readBytes: number;
  /** What was given up since the start because it was too old or too much. */
  readonly expiredBytes: number;
  /** Damaged chunks whose intact messages wait for room on the disk, or for the next start; no reader sees them. */
  readonly hiddenChunks: readonly string[];
  readonly groups: readonly GroupBacklog[];
}

/** The room on the disk of a node, as it was last seen. */
export interface DiskStatus {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Below so much free space writes are refused. */
  readonly reserveBytes: number;
  /** `null` where the file system makes inodes as it needs them. */
  readonly freeInodes: number | null;
  /** Why no writes are taken now; `null` when they are. */
  readonly refusal: string | null;
}

/** What an operator can do with a node of the cluster. */
export const nodeChanges = ['drain', 'undrain', 'replace', 'remove'] as const;

export type NodeChange = (typeof nodeChanges)[number];

/** Another node, or this one, as a member of the cluster. */
export interface MemberStatus {
  readonly name: string;
  readonly url: string;
  /** What the cluster has agreed on: it takes part, is being emptied, was lost, or waits for a new directory. */
  readonly state: 'active' | 'draining' | 'lost' | 'replaceable';
  /** Whether it is draining, and all that it has is at the others. */
  readonly drained: boolean;
  /** Whether it is the node that answers. */
  readonly self: boolean;
  /** Whether its chunks come here, and this node's go there. */
  readonly receiving: boolean;
  readonly sending: boolean;
  /** Bytes of this node's own chunks that it has not got; `null` while that is not known. */
  readonly behindBytes: number | null;
  /** How long ago it was heard of last; `null` for never since the start. */
  readonly heardSecondsAgo: number | null;
  /** Why nothing comes from there; `null` when it does. */
  readonly problem: string | null;
}

/** How a node stands with etcd. */
export interface CoordinationStatus {
  readonly available: boolean;
  readonly problem: string | null;
  /**
   * How long ago etcd has answered last, to the tenth; it is asked twice a second, and called away only after more than
   * that. `null` when it has not since the start.
   */
  readonly answeredSecondsAgo: number | null;
}

/** What a node says of its cluster. */
export interface ClusterStatus {
  /** The name of the cluster, as it was given. */
  readonly name: string;
  /** Whether etcd can be reached; what does not work without it says so by itself. */
  readonly coordination: CoordinationStatus;
  /** Bytes of this node's own chunks that no other node has. */
  readonly bytesHereOnly: number;
  /** By name. */
  readonly members: readonly MemberStatus[];
}

/** The answer to `/status`. */
export interface NodeStatus {
  readonly node: string;
  /** The id of the cluster, or of the lone node's data directory. */
  readonly cluster: string;
  readonly version: string;
  readonly state: NodeState;
  /** When the node was started, as ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** Bytes of batches that are held in memory, over all connections. */
  readonly bytesInFlight: number;
  readonly disk: DiskStatus;
  /** `null` for a node that stands alone. */
  readonly clusterStatus: ClusterStatus | null;
  /** The last check of all chunks since the start; `null` when none has ended. */
  readonly lastScrub: { readonly endedAt: string; readonly checkedBytes: number } | null;
  /** By name; also those that only have groups so far. */
  readonly categories: readonly CategoryStatus[];
  /** Ships and sinks that have reported to this node within the last seconds, by kind and name. */
  readonly pipelines: readonly PipelineStatus[];
}

/** A node that is stopping takes no more writes. */
export type NodeState = 'running' | 'draining' | 'stopping';

/** Who sends a batch, and as which of its batches; a batch with a stamp that was stored before is not stored again. */
export interface ProducerStamp {
  readonly producer: string;
  /** Rises by one with each batch of the producer in the category. */
  readonly sequence: number;
}
