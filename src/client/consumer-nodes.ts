import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';
import type { Client } from './client.js';
import type { ChunkListing } from './client-calls.js';
import { decideRetry, type RetryListener } from './decide-retry.js';
import { callEachNode, retryOnNodes } from './retry-on-nodes.js';

export interface ConsumerNodesOptions {
  /** The cluster that the consumer's position belongs to. */
  readonly cluster: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onRetry: RetryListener | undefined;
  readonly giveUpAfterMs: number | undefined;
  /** Lists the chunks of a node and hands the list to `know`; one try. */
  readonly meet: (server: string) => Promise<void>;
}

/** Does something at the node with this address. */
export type NodeCall<T> = (server: string) => Promise<T>;

/**
 * The nodes as one consumer uses them. Names of chunks mean other messages in another cluster, and an
 * acknowledgement there would delete them; so a node is listed, and its cluster compared, before anything is read
 * from it or acknowledged to it, and again after its connection broke: another node may have its address then.
 */
export class ConsumerNodes {
  readonly #client: Client;
  readonly #options: ConsumerNodesOptions;
  readonly #known = new Set<string>();
  readonly #meetings = new Map<string, Promise<void>>();
  #cluster: string | undefined;

  constructor(client: Client, options: ConsumerNodesOptions) {
    this.#client = client;
    this.#options = options;
    this.#cluster = options.cluster;
  }

  /** The cluster of all that is read; `undefined` before the first list. */
  get cluster(): string | undefined {
    return this.#cluster;
  }

  /** Whether a node may lack what another one has shown. */
  get areSeveral(): boolean {
    return this.#client.servers.length > 1;
  }

  /** Takes note of a node that was listed. Throws `cluster_changed` when it belongs to another cluster. */
  know({ server, cluster }: ChunkListing): void {
    this.#cluster ??= cluster;
    if (this.#cluster !== cluster) {
      throw new ChukchaError(
        'cluster_changed',
        `${server} has the messages of ${cluster}, but the position belongs to ${this.#cluster}: ` +
          'name the server that the position came from, or start with an empty state directory (--state) to read everything.',
        { fields: { server } },
      );
    }
    this.#known.add(server);
  }

  /** Calls the current node, and again with growing delays while the failure may pass. */
  trying<T>(call: NodeCall<T>): Promise<T> {
    return this.#retry(() => this.#at(this.#client.server, call));
  }

  /** As `trying`, at nodes that are known to be of the cluster. */
  tryingKnown<T>(call: NodeCall<T>): Promise<T> {
    return this.#retry(() => this.once(call));
  }

  /** Calls the nodes that are known to be of the cluster, each once at most, until one does it. */
  onEach<T>(call: NodeCall<T>): Promise<T> {
    const { onRetry } = this.#options;
    return callEachNode(this.#client, () => this.once(call), { onRetry });
  }

  /** Calls a node once, as soon as it is known to be of the cluster. @param server the current node by default */
  async once<T>(call: NodeCall<T>, server = this.#client.server): Promise<T> {
    if (!this.#known.has(server)) await this.#meet(server);
    return this.#at(server, call);
  }

  async #at<T>(server: string, call: NodeCall<T>): Promise<T> {
    try {
      return await call(server);
    } catch (error) {
      if (errorCode(error) === 'server_unreachable') this.#known.delete(server);
      throw error;
    }
  }

  /** All callers that come to a new node at the same time wait for one list. */
  #meet(server: string): Promise<void> {
    const underWay = this.#meetings.get(server);
    if (underWay !== undefined) return underWay;
    const meeting = this.#options.meet(server).finally(() => this.#meetings.delete(server));
    this.#meetings.set(server, meeting);
    return meeting;
  }

  #retry<T>(call: () => Promise<T>): Promise<T> {
    const { clock, random, signal, onRetry, giveUpAfterMs } = this.#options;
    return retryOnNodes(this.#client, call, {
      clock,
      random,
      // What broke because the consumer stops is no failure to speak of.
      decide: (error) => (signal.aborted ? 'fail' : decideRetry(error)),
      onRetry,
      giveUpAfterMs,
      signal,
    });
  }
}
