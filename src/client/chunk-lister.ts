import type { ChunkListing, Client } from './client.js';

export interface ChunkListerOptions {
  readonly category: string;
  readonly group: string;
  /** How long a node holds a call while the list is as it was, in milliseconds. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
  /** Calls again while the failure may pass. */
  readonly trying: (call: () => Promise<ChunkListing>) => Promise<ChunkListing>;
}

/** Lists the chunks that a group has not acknowledged, at once or when that list has changed. */
export class ChunkLister {
  readonly #client: Client;
  readonly #options: ChunkListerOptions;
  #version: string | undefined;
  #callCount = 0;
  #takenCall = 0;

  constructor(client: Client, options: ChunkListerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * The list; `undefined` when a later call was answered before. Of two calls at a time the older one may bring
   * the older list, and what it had anew comes with the next.
   */
  async list(when: 'now' | 'when changed'): Promise<ChunkListing | undefined> {
    const { category, group, pollMs, signal, trying } = this.#options;
    this.#callCount += 1;
    const call = this.#callCount;
    const listing = await trying(() => {
      const version = when === 'now' ? undefined : this.#version;
      const wait = version === undefined ? {} : { version, waitMs: pollMs };
      return this.#client.listChunks(category, { group, signal, ...wait });
    });
    if (call < this.#takenCall) return undefined;
    this.#takenCall = call;
    this.#version = listing.version;
    return listing;
  }
}
