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
  type ListedChunk,
  type NodeChange,
  type NodeStatus,
  type ProducerStamp,
  paths,
  type SealReceipt,
  serverUrlDefault,
  type WriteReceipt,
} from '../protocol/http-api.js';
import { type HttpAnswer, type HttpCall, HttpTransport } from './http-transport.js';

export interface ClientOptions {
  /** The node to talk to. @default "http://127.0.0.1:8080" */
  readonly server?: string;
  /** How long a node may be silent in the middle of a call, in milliseconds. @default 30000 */
  readonly timeoutMs?: number;
}

const timeoutMsDefault = 30_000;

export interface CallOptions {
  /** Gives up the call, which then throws `aborted`. */
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends CallOptions {
  /** Answer only when the batch is durable on the node's disk. @default false */
  readonly sync?: boolean;
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
  /** Hold the call while the list still has this version, up to `waitMs`. */
  readonly version?: string;
  readonly waitMs?: number;
}

export interface ChunkListing {
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

/**
 * The calls of one node, one method for each. Every method throws a `ChukchaError`: with the code that the
 * node answered, or `server_unreachable`, `timeout`, `invalid_response` or `aborted`.
 */
export class Client {
  readonly #transport: HttpTransport;
  readonly #timeoutMs: number;

  constructor(options: ClientOptions = {}) {
    this.#transport = new HttpTransport(options.server ?? serverUrlDefault);
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  }

  /** The address of the node. */
  get server(): string {
    return this.#transport.server;
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
    const answer = await this.#transport.call({
      method: 'POST',
      path: paths.write,
      query: { category, sync_each_write: options.sync === true ? true : undefined },
      headers: stampHeaders(options.stamp),
      pieces,
      byteCount: totalBytes(pieces),
      timeoutMs: this.#timeoutMs,
      ...withSignal(options),
    });
    return parseJson(answer) as WriteReceipt;
  }

  /** Reads whole messages of one chunk. Throws `chunk_not_found` with the field `chunkState`. */
  async read(category: string, options: ReadOptions): Promise<ReadAnswer> {
    const { chunk, offset, byteCountMax, waitMs = 0 } = options;
    const answer = await this.#transport.call({
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
      ...withSignal(options),
      ...(options.takeBuffer === undefined ? {} : { takeBuffer: options.takeBuffer }),
    });
    return {
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
    const answer = await this.#transport.call({
      method: 'GET',
      path: paths.listChunks,
      query: { category, group, version, wait_ms: waitMs === 0 ? undefined : waitMs },
      timeoutMs: this.#timeoutMs + waitMs,
      ...withSignal(options),
    });
    return {
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

  /** Seals the node's open chunk of the category, so that it can be acknowledged now. */
  async seal(category: string, options: CallOptions = {}): Promise<SealReceipt> {
    return parseJson(await this.#call('POST', paths.seal, { category }, options)) as SealReceipt;
  }

  /** The node and its categories, with what each group has still to acknowledge. */
  async status(options: CallOptions = {}): Promise<NodeStatus> {
    const status = parseJson(await this.#get(paths.status, {}, options)) as NodeStatus | null;
    if (Array.isArray(status?.categories)) return status;
    throw invalidResponse(
      `${this.server} answered at ${paths.status}, but not as a chukcha node does`,
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
    const answer = parseJson(await this.#get(paths.live, {}, options)) as Record<
      string,
      unknown
    > | null;
    const { node, cluster, maxBatch } = answer ?? {};
    if (typeof node === 'string' && typeof cluster === 'string' && typeof maxBatch === 'number') {
      return { node, cluster, batchBytesMax: maxBatch };
    }
    throw invalidResponse(
      `${this.server} answered at ${paths.live}, but not as a chukcha node does`,
    );
  }

  /** Closes the connections. */
  close(): void {
    this.#transport.close();
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
    return this.#transport.call({
      method,
      path,
      query,
      timeoutMs: this.#timeoutMs,
      ...withSignal(options),
    });
  }
}

function stampHeaders(stamp: ProducerStamp | undefined): Readonly<Record<string, string>> {
  if (stamp === undefined) return {};
  return { [headers.producer]: stamp.producer, [headers.sequence]: String(stamp.sequence) };
}

function groupPath(group: string): string {
  return `${paths.groups}/${encodeURIComponent(group)}`;
}

function withSignal({ signal }: CallOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
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
