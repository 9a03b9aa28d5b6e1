import { totalBytes } from '../protocol/batch-check.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import {
  type ChunkState,
  groupNameDefault,
  headers,
  type ListedChunk,
  paths,
  serverUrlDefault,
  type WriteReceipt,
} from '../protocol/http-api.js';
import { type HttpAnswer, HttpTransport } from './http-transport.js';

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
   * `server_unreachable` or `timeout` the batch may have been stored.
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
    await this.#transport.call({
      method: 'POST',
      path: paths.ack,
      query: { category, chunk, size, group },
      timeoutMs: this.#timeoutMs,
      ...withSignal(options),
    });
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

  /** From now on, chunks of the category wait for this group's acknowledgement too. */
  async registerGroup(category: string, group: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.call({
      method: 'PUT',
      path: paths.groups,
      query: { category, group },
      timeoutMs: this.#timeoutMs,
      ...withSignal(options),
    });
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

  #get(
    path: string,
    query: Readonly<Record<string, string>>,
    options: CallOptions,
  ): Promise<HttpAnswer> {
    return this.#transport.call({
      method: 'GET',
      path,
      query,
      timeoutMs: this.#timeoutMs,
      ...withSignal(options),
    });
  }
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
