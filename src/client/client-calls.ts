import type { Random } from '../common/random.js';
import type { ChunkState, ListedChunk, ProducerStamp } from '../protocol/http-api.js';
import type { Credentials } from './credentials.js';

export interface ClientOptions extends Credentials {
  /**
   * The node to talk to, or nodes of one cluster: as a list, or as one text with commas between the addresses.
   * @default "http://127.0.0.1:8080"
   */
  readonly server?: string | readonly string[];
  /** How long a node may be silent in the middle of a call, in milliseconds. @default 30000 */
  readonly timeoutMs?: number;
  /** Chooses the node to begin with. @default the system's */
  readonly random?: Random;
}

export interface CallOptions {
  /** Asks this node, one of the client's `servers`, whichever the current one is. @default the current one */
  readonly server?: string;
  /** Gives up the call, which then throws `aborted`. */
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** Answer only when the batch is durable on the node's disk. @default false */
  readonly sync?: boolean;
  /**
   * Answer only when so many other nodes have the batch too, and with `sync` have it on their disks. After
   * `not_replicated` it is stored, but not confirmed. @default 0
   */
  readonly minSyncReplicas?: number;
  /**
   * Who sends the batch and as which of its batches, so that sending it again after a failure does not store
   * it twice: as the same bytes with the same stamp.
   */
  readonly stamp?: ProducerStamp;
}

export interface ReadOptions extends CallOptions {
  readonly chunk: string;
  readonly offset: number;
  /** The most bytes to get; a message that is larger comes whole all the same. */
  readonly byteCountMax: number;
  /** How long the node holds the call while there is nothing to read, in milliseconds. @default 0 */
  readonly waitMs?: number;
  /** Gives the buffer that the messages are put into; it has at least `byteCount` bytes. */
  readonly takeBuffer?: (byteCount: number) => Buffer;
}

export interface ReadAnswer {
  /** The address of the node that answered. */
  readonly server: string;
  /** Whole messages; empty when there are none now. */
  readonly bytes: Buffer;
  readonly state: ChunkState;
  /** The chunk's size on the node when it answered. */
  readonly chunkSize: number;
  readonly nextOffset: number;
}

export interface ListOptions extends CallOptions {
  /** @default "default" */
  readonly group?: string;
  /** Hold the call while the list still has this version, which the same node gave, up to `waitMs`. */
  readonly version?: string;
  readonly waitMs?: number;
}

export interface ChunkListing {
  /** The address of the node that answered; other nodes may have fewer chunks, or more. */
  readonly server: string;
  readonly chunks: readonly ListedChunk[];
  readonly version: string;
  /** The id of the cluster, or of the lone node's data directory, that the chunks belong to. */
  readonly cluster: string;
}

/** A node that answers. */
export interface NodeInfo {
  readonly node: string;
  /** The id of the cluster, or of the lone node's data directory. */
  readonly cluster: string;
  /** The largest batch that the node takes, in bytes. */
  readonly batchBytesMax: number;
}
