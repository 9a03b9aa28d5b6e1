import { Client } from '../client/client.js';
import type { Credentials } from '../client/credentials.js';
import { callEachNode } from '../client/retry-on-nodes.js';
import { systemRandom } from '../common/random.js';
import { type ProcessFigures, readProcessFigures } from '../processes/process-figures.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { discardChunks } from './discard-chunks.js';
import type { LoadPlace } from './load-run.js';
import { OwnNode, type OwnNodeOptions } from './own-node.js';

export interface LoadTargetOptions extends OwnNodeOptions {
  /** Nodes that run already; `undefined` starts one. */
  readonly server: string | undefined;
  readonly credentials: Credentials;
}

/** The node or the cluster that is loaded, as a report names it. */
export interface TargetFacts {
  /** Whether the node was started for the load. */
  readonly isOwn: boolean;
  readonly servers: readonly string[];
  /** `null` where only who may observe is told. */
  readonly version: string | null;
  /** The disk of a node that was started, as `ext4 on /dev/vda1`; `null` for others. */
  readonly disk: string | null;
  readonly category: string;
}

/** How long somebody who looks now and then waits for a node. */
const lookMsMax = 2_000;

const group = 'bench';
const categoryBytes = 4;

/** Writers and readers together leave so much unread at the most, and never more than a quarter of the free space. */
const liveBacklogBytesMax = 256 * 1024 ** 2;
/** As much is written at the most where nobody reads meanwhile. */
const heldBytesMax = 2 * 1024 ** 3;
/** Where nobody may know how much space is free. */
const unknownFreeBytes = 4 * 1024 ** 3;
const freeShareMax = 0.25;

/** What a load is put on: a node of its own, or nodes that were named. */
export class LoadTarget {
  readonly facts: TargetFacts;
  /** The largest batch that the nodes take. */
  readonly batchBytesMax: number;
  /** The most bytes that may be written while nobody reads. */
  readonly heldBytesMax: number;
  readonly #place: LoadPlace;
  readonly #client: Client;
  readonly #node: OwnNode | undefined;
  #hasBegun = false;

  private constructor(parts: {
    readonly facts: TargetFacts;
    readonly batchBytesMax: number;
    readonly freeBytes: number;
    readonly connect: (index: number) => Client;
    readonly node: OwnNode | undefined;
  }) {
    const { facts, freeBytes, connect } = parts;
    this.facts = facts;
    this.batchBytesMax = parts.batchBytesMax;
    this.heldBytesMax = Math.min(heldBytesMax, freeBytes * freeShareMax);
    const backlogBytesMax = Math.min(liveBacklogBytesMax, freeBytes * freeShareMax);
    this.#place = { category: facts.category, group, connect, backlogBytesMax };
    this.#client = connect(0);
    this.#node = parts.node;
  }

  /**
   * Starts a node, or asks those that were named. Throws what a node answers that may not be used so, and
   * `invalid_option` for a directory that cannot be used.
   */
  static async open(options: LoadTargetOptions): Promise<LoadTarget> {
    const { server, credentials } = options;
    const node = server === undefined ? await OwnNode.start(options) : undefined;
    const connect = (index: number): Client =>
      connectTo(node?.url ?? server ?? '', node === undefined ? credentials : {}, index);
    try {
      const client = connect(0);
      const { batchBytesMax } = await callEachNode(client, () => client.live());
      // Only who may observe is told these; the load does not need them.
      const status = await client.status().catch(() => undefined);
      const category = `bench_${systemRandom.hex(categoryBytes)}`;
      const { servers } = client;
      client.close();
      return new LoadTarget({
        facts: {
          isOwn: node !== undefined,
          servers,
          version: status?.version ?? null,
          disk: node?.disk.fileSystem ?? null,
          category,
        },
        batchBytesMax,
        freeBytes: status?.disk.freeBytes ?? unknownFreeBytes,
        connect,
        node,
      });
    } catch (error) {
      await node?.remove();
      throw error;
    }
  }

  /** Where a load with a reader beside the writers is put. */
  get livePlace(): LoadPlace {
    return this.#place;
  }

  /** Where a load is put that nobody reads meanwhile: the writers end before there is too much. */
  get heldPlace(): LoadPlace {
    return { ...this.#place, backlogBytesMax: Number.POSITIVE_INFINITY };
  }

  /** Has everything that is written from now on wait for the group. */
  async begin(): Promise<void> {
    const { category } = this.facts;
    await callEachNode(this.#client, () => this.#client.registerGroup(category, group));
    this.#hasBegun = true;
  }

  /** Acknowledges everything that was written, whether it was read or not. */
  discard(): Promise<void> {
    return discardChunks(this.#client, this.facts.category, group);
  }

  /** `undefined` for nodes that were named, and where the system does not tell. */
  async nodeFigures(): Promise<ProcessFigures | undefined> {
    const processId = this.#node?.processId;
    return processId === undefined ? undefined : await readProcessFigures(processId);
  }

  /** The free space of the disk of an own node, or of the first node as far as it tells; `undefined` if not. */
  async freeBytes(): Promise<number | undefined> {
    if (this.#node !== undefined) return await this.#node.freeBytes();
    const signal = AbortSignal.timeout(lookMsMax);
    const status = await this.#client.status({ signal }).catch(() => undefined);
    return status?.disk.freeBytes;
  }

  /** Aborts when an own node ends by itself; never for others, which may come back. */
  get ended(): AbortSignal {
    return this.#node?.ended ?? new AbortController().signal;
  }

  /** What an own node has said that should not have been, as sentences. */
  get nodeProblems(): string[] {
    return this.#node?.problems ?? [];
  }

  /** Removes what the load has left; tells what stays all the same, as sentences. */
  async close(): Promise<string[]> {
    try {
      return this.#node === undefined && this.#hasBegun ? await this.#leave() : [];
    } finally {
      this.#client.close();
      await this.#node?.remove();
    }
  }

  async #leave(): Promise<string[]> {
    const { category } = this.facts;
    const left = [`The name of category ${category} stays at its nodes, with nothing in it.`];
    try {
      await this.discard();
    } catch (error) {
      left.push(`Messages of category ${category} stay: ${errorMessage(error)}`);
    }
    try {
      await callEachNode(this.#client, () => this.#client.removeGroup(category, group));
    } catch (error) {
      left.push(`Group ${group} of category ${category} stays: ${errorMessage(error)}`);
    }
    return left;
  }
}

/** A client that begins at the n-th of its nodes, so that the writers of a load are spread evenly. */
function connectTo(server: string, credentials: Credentials, index: number): Client {
  const nodeCount = server.split(',').length;
  const fraction = (): number => ((index % nodeCount) + 0.5) / nodeCount;
  return new Client({ server, ...credentials, random: { ...systemRandom, fraction } });
}
