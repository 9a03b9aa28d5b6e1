import type { Client } from './client.js';
import type { ChunkListing } from './client-calls.js';

export interface ChunkListerOptions {
  readonly category: string;
  readonly group: string;
  /** How long a node holds a call while the list is as it was, in milliseconds. */
  readonly pollMs: number;
}

/** What is known of one node's lists. */
interface NodeLists {
  /** Of the list that was taken last; another node gives other versions. */
  readonly version: string;
  readonly takenCall: number;
}

/** Lists the chunks that a group has not acknowledged, at once or when a node's list has changed. */
export class ChunkLister {
  readonly #client: Client;
  readonly #options: ChunkListerOptions;
  readonly #lists = new Map<string, NodeLists>();
  #callCount = 0;

  constructor(client: Client, options: ChunkListerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * The list of a node; `undefined` when a later call was answered before. Of two calls at a time the older one may
   * bring the older list, and what it had anew comes with the next.
   */
  async list(
    when: 'now' | 'when changed',
    server: string,
    signal: AbortSignal,
  ): Promise<ChunkListing | undefined> {
    const { category, group, pollMs } = this.#options;
    this.#callCount += 1;
    const call = this.#callCount;
    const version = when === 'now' ? undefined : this.#lists.get(server)?.version;
    const wait = version === undefined ? {} : { version, waitMs: pollMs };
    const listing = await this.#client.listChunks(category, { group, server, signal, ...wait });
    if (call < (this.#lists.get(server)?.takenCall ?? 0)) return undefined;
    this.#lists.set(server, { version: listing.version, takenCall: call });
    return listing;
  }
}
