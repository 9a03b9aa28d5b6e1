/** Paths, parameters and headers of a node's HTTP interface; `docs/http-api.md` describes them. */
export const paths = {
  write: '/write',
  read: '/read',
  ack: '/ack',
  listChunks: '/listChunks',
  listCategories: '/listCategories',
  groups: '/groups',
  live: '/livez',
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
  /** With a write: who sends it, and as which of its batches; both or none. */
  producer: 'chukcha-producer',
  sequence: 'chukcha-sequence',
  /** The id of the cluster, or of the lone node's data directory, that the chunks belong to. */
  clusterId: 'chukcha-cluster-id',
  /** The state of a category's list of chunks; opaque, changes when a chunk appears, is sealed or goes. */
  listVersion: 'chukcha-list-version',
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
