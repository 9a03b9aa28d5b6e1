import { systemRandom } from '../common/random.js';
import { totalBytes } from '../protocol/batch-check.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import {
  type ChunkState,
  type GroupBacklog,
  type GroupRegistration,
  type GroupRemoval,
  type GroupStart,
  groupNameDefault,
  headers,
  type LeaseAnswer,
  type ListedChunk,
  type NodeChange,
  type NodeStatus,
  type ProducerStamp,
  paths,
  type SealReceipt,
  serverUrlDefault,
  type WriteReceipt,
} from '../protocol/http-api.js';
import type { PipelineKind, PipelineReport } from '../protocol/pipeline-report.js';
import type {
  CallOptions,
  ChunkListing,
  ClientOptions,
  ListOptions,
  NodeInfo,
  ReadAnswer,
  ReadOptions,
  WriteOptions,
} from './client-calls.js';
import type { HttpAnswer, HttpCall } from './http-transport.js';
import { NodeRing, type ServerList } from './node-ring.js';

const timeoutMsDefault = 30_000;

/**
 * The calls of a node, one method for each. Every method throws a `ChukchaError`: with the code that the
 * node answered, or `server_unreachable`, `timeout`, `invalid_response` or `aborted`. Its field `server` names the
 * node.
 *
 * With several nodes of a cluster, each call is one try at the current node. One that fails by a fault of that node (it
 * cannot be reached, stops, or cannot store) makes another node the current one for the calls that follow, and
 * those that the left node holds fail at once with `server_unreachable`.
 */
export class Client {
  readonly #ring: NodeRing;
  readonly #timeoutMs: number;

  /** Throws `invalid_option` for what is not a list of addresses of nodes. */
  constructor(options: ClientOptions = {}) {
    this.#ring = new NodeRing(
      options.server ?? serverUrlDefault,
      options.random ?? systemRandom,
      options,
    );
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  }

  /** The address of the current node: the one that calls go to unless they name another. */
  get server(): string {
    return this.#ring.current;
  }

  /** The addresses of all nodes, as they were given. */
  get servers(): ServerList {
    return this.#ring.servers;
  }

  /**
   * Goes on with another node when `server` is the current one and there are others: for callers that see that it
   * lacks what another one may have.
   */
  moveOn(server: string, cause: unknown): void {
    this.#ring.moveOn(server, cause);
  }

  /**
   * Appends the messages in the pieces as one batch, all or nothing. It is not tried again: after
   * `server_unreachable` or `timeout` the batch may have been stored. Writing it again with the same stamp is
   * answered with `duplicate` then.
   */
  async write(
    category: string,
    pieces: readonly Uint8Array[],
    options: WriteOptions = {},
  ): Promise<WriteReceipt> {
    const answer = await this.#ask(options, {
      method: 'POST',
      path: paths.write,
      query: {
        category,
        sync_each_write: options.sync === true ? true : undefined,
        min_sync_replicas: options.minSyncReplicas,
      },
      headers: stampHeaders(options.stamp),
      pieces,
      byteCount: totalBytes(pieces),
      timeoutMs: this.#timeoutMs,
    });
    return parseJson(answer) as WriteReceipt;
  }

  /** Reads whole messages of one chunk. Throws `chunk_not_found` with the field `chunkState`. */
  async read(category: string, options: ReadOptions): Promise<ReadAnswer> {
    const { chunk, offset, byteCountMax, waitMs = 0 } = options;
    const answer = await this.#ask(options, {
      method: 'GET',
      path: paths.read,
      query: {
        category,
        chunk,
        off: offset,
        max_size: byteCountMax,
        wait_ms: waitMs === 0 ? undefined : waitMs,
      },
      timeoutMs: this.#timeoutMs + waitMs,
      held: waitMs > 0,
      ...(options.takeBuffer === undefined ? {} : { takeBuffer: options.takeBuffer }),
    });
    return {
      server: answer.server,
      bytes: answer.body,
      state: requiredHeader(answer, headers.chunkState) as ChunkState,
      chunkSize: Number(requiredHeader(answer, headers.chunkSize)),
      nextOffset: Number(requiredHeader(answer, headers.nextOffset)),
    };
  }

  /** Says that the group has processed a sealed chunk up to `size`; durable when it resolves. */
  async ack(
    category: string,
    chunk: string,
    size: number,
    options: CallOptions & { readonly group?: string } = {},
  ): Promise<void> {
    const { group = groupNameDefault } = options;
    await this.#call('POST', paths.ack, { category, chunk, size, group }, options);
  }

  /** The chunks that the group has not acknowledged, by owner and then by index. */
  async listChunks(category: string, options: ListOptions = {}): Promise<ChunkListing> {
    const { group, version, waitMs = 0 } = options;
    const answer = await this.#ask(options, {
      method: 'GET',
      path: paths.listChunks,
      query: { category, group, version, wait_ms: waitMs === 0 ? undefined : waitMs },
      timeoutMs: this.#timeoutMs + waitMs,
      held: waitMs > 0,
    });
    return {
      server: answer.server,
      chunks: parseList(answer) as ListedChunk[],
      version: requiredHeader(answer, headers.listVersion),
      cluster: requiredHeader(answer, headers.clusterId),
    };
  }

  /** The names of the categories that were ever written to, sorted. */
  async listCategories(options: CallOptions = {}): Promise<readonly string[]> {
    const answer = await this.#get(paths.listCategories, {}, options);
    return parseList(answer) as string[];
  }

  /** The registered groups of a category, by name, with what each has still to acknowledge. */
  async groups(category: string, options: CallOptions = {}): Promise<readonly GroupBacklog[]> {
    return parseList(await this.#get(paths.groups, { category }, options)) as GroupBacklog[];
  }

  /**
   * From now on, chunks of the category wait for this group's acknowledgement too. May be repeated: a group
   * that is registered stays as it is.
   *
   * @param options.from whether a new group gets what is there, or only what comes. @default "earliest"
   */
  async registerGroup(
    category: string,
    group: string,
    options: CallOptions & { readonly from?: GroupStart } = {},
  ): Promise<GroupRegistration> {
    const answer = await this.#call(
      'PUT',
      groupPath(group),
      { category, from: options.from },
      options,
    );
    return parseJson(answer) as GroupRegistration;
  }

  /** Forgets the group and deletes the chunks that only it still held; the answer says what that freed. */
  async removeGroup(
    category: string,
    group: string,
    options: CallOptions = {},
  ): Promise<GroupRemoval> {
    return parseJson(
      await this.#call('DELETE', groupPath(group), { category }, options),
    ) as GroupRemoval;
  }

  /** Takes or renews a lease of a group at a node, unless another reader holds it; the answer says who does. */
  async takeLease(
    category: string,
    group: string,
    lease: { readonly holder: string; readonly ttlMs: number },
    options: CallOptions = {},
  ): Promise<LeaseAnswer> {
    const query = { category, holder: lease.holder, ttl_ms: lease.ttlMs };
    return parseJson(await this.#call('PUT', leasePath(group), query, options)) as LeaseAnswer;
  }

  /** Who drains a category for a group, as far as a node was asked. */
  async findLease(
    category: string,
    group: string,
    options: CallOptions = {},
  ): Promise<LeaseAnswer> {
    return parseJson(await this.#get(leasePath(group), { category }, options)) as LeaseAnswer;
  }

  /** Gives a lease back; one that somebody else holds stays. */
  async releaseLease(
    category: string,
    group: string,
    holder: string,
    options: CallOptions = {},
  ): Promise<void> {
    await this.#call('DELETE', leasePath(group), { category, holder }, options);
  }

  /** Tells a node how a pipeline stands. */
  async reportPipeline(
    pipeline: { readonly kind: PipelineKind; readonly name: string; readonly category: string },
    report: PipelineReport,
    options: CallOptions = {},
  ): Promise<void> {
    const { kind, name, category } = pipeline;
    const body = Buffer.from(JSON.stringify(report));
    await this.#ask(options, {
      method: 'PUT',
      path: `${paths.pipelines}/${encodeURIComponent(name)}`,
      query: { kind, category },
      pieces: [body],
      byteCount: body.length,
      timeoutMs: this.#timeoutMs,
    });
  }

  /** Seals the node's open chunk of the category, so that it can be acknowledged now. */
  async seal(category: string, options: CallOptions = {}): Promise<SealReceipt> {
    return parseJson(await this.#call('POST', paths.seal, { category }, options)) as SealReceipt;
  }

  /** The node and its categories, with what each group has still to acknowledge. */
  async status(options: CallOptions = {}): Promise<NodeStatus> {
    const answer = await this.#get(paths.status, {}, options);
    const status = parseJson(answer) as NodeStatus | null;
    // A node of an earlier version knows of no pipelines.
    if (Array.isArray(status?.categories)) return { ...status, pipelines: status.pipelines ?? [] };
    throw invalidResponse(
      `${answer.server} answered at ${paths.status}, but not as a chukcha node does`,
    );
  }

  /** Changes a member of the cluster. Throws `membership_refused` or `coordination_unavailable`. */
  async changeNode(
    node: string,
    change: NodeChange,
    options: CallOptions & { readonly force?: boolean } = {},
  ): Promise<void> {
    const path = `${paths.nodes}/${encodeURIComponent(node)}`;
    const force = options.force === true ? true : undefined;
    await this.#call('POST', path, { change, force }, options);
  }

  /** What the node says of itself, when it answers. */
  async live(options: CallOptions = {}): Promise<NodeInfo> {
    const answer = await this.#get(paths.live, {}, options);
    const info = parseJson(answer) as Record<string, unknown> | null;
    const { node, cluster, maxBatch } = info ?? {};
    if (typeof node === 'string' && typeof cluster === 'string' && typeof maxBatch === 'number') {
      return { node, cluster, batchBytesMax: maxBatch };
    }
    throw invalidResponse(
      `${answer.server} answered at ${paths.live}, but not as a chukcha node does`,
    );
  }

  /** Closes the connections. */
  close(): void {
    this.#ring.close();
  }

  #get(path: string, query: HttpCall['query'], options: CallOptions): Promise<HttpAnswer> {
    return this.#call('GET', path, query, options);
  }

  /** A call that is answered at once and has no body. */
  #call(
    method: HttpCall['method'],
    path: string,
    query: HttpCall['query'],
    options: CallOptions,
  ): Promise<HttpAnswer> {
    return this.#ask(options, {
      method,
      path,
      query,
      timeoutMs: this.#timeoutMs,
    });
  }

  #ask({ server, signal }: CallOptions, call: HttpCall): Promise<HttpAnswer> {
    return this.#ring.call(signal === undefined ? call : { ...call, signal }, server);
  }
}

function stampHeaders(stamp: ProducerStamp | undefined): Readonly<Record<string, string>> {
  if (stamp === undefined) return {};
  return { [headers.producer]: stamp.producer, [headers.sequence]: String(stamp.sequence) };
}

function leasePath(group: string): string {
  return `${paths.leases}/${encodeURIComponent(group)}`;
}

function groupPath(group: string): string {
  return `${paths.groups}/${encodeURIComponent(group)}`;
}

function parseJson(answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body.toString());
  } catch (cause) {
    throw invalidResponse('The answer is not JSON', cause);
  }
}

function parseList(answer: HttpAnswer): unknown[] {
  const list = parseJson(answer);
  if (Array.isArray(list)) return list;
  throw invalidResponse('The answer is not a list');
}

function requiredHeader(answer: HttpAnswer, name: string): string {
  const value = answer.headers[name];
  if (typeof value === 'string') return value;
  throw invalidResponse(`The answer has no header ${name}`);
}

function invalidResponse(text: string, cause?: unknown): ChukchaError {
  return new ChukchaError(
    'invalid_response',
    `${text}: check that --server names a chukcha node.`,
    { cause },
  );
}
