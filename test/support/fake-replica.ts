import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { systemClock } from '../../src/common/clock.js';
import { ChangeSignal } from '../../src/common/wait.js';
import type { ErrorCode } from '../../src/protocol/error-codes.js';
import { errorCodes } from '../../src/protocol/error-codes.js';
import type { ChunkState, ListedChunk } from '../../src/protocol/http-api.js';
import { formatChunkName } from '../../src/protocol/names.js';

/** A chunk as its owner has it. */
interface LogChunk {
  readonly name: string;
  readonly owner: string;
  readonly index: number;
  bytes: Buffer;
  isSealed: boolean;
}

/** What all owners of a category have written: the truth that replicas have more or less of. */
export class FakeLog {
  readonly chunks: LogChunk[] = [];

  /** Appends to the owner's open chunk, or to a new one. Returns the chunk's name. */
  append(owner: string, text: string): string {
    const owned = this.ownedBy(owner);
    let chunk = owned.at(-1);
    if (chunk === undefined || chunk.isSealed) {
      const index = owned.length;
      const name = formatChunkName({ owner, index });
      chunk = { name, owner, index, bytes: Buffer.alloc(0), isSealed: false };
      this.chunks.push(chunk);
    }
    chunk.bytes = Buffer.concat([chunk.bytes, Buffer.from(text)]);
    return chunk.name;
  }

  seal(owner: string): void {
    const last = this.ownedBy(owner).at(-1);
    if (last !== undefined) last.isSealed = true;
  }

  chunk(name: string): LogChunk {
    const chunk = this.chunks.find((known) => known.name === name);
    if (chunk === undefined) throw new RangeError(`Expected a chunk of the log, got ${name}`);
    return chunk;
  }

  owners(): string[] {
    return [...new Set(this.chunks.map(({ owner }) => owner))].sort();
  }

  ownedBy(owner: string): LogChunk[] {
    return this.chunks.filter((chunk) => chunk.owner === owner);
  }
}

/** How a replica fails a call: it cuts the connection, at once or behind the answer's head, or refuses. */
export type Fault = 'cut' | 'cut answer' | ErrorCode;

export interface FakeReplicaOptions {
  /** @default "cluster1" */
  readonly cluster?: string;
  /** @default "replica" */
  readonly node?: string;
  /** What a call, in the words of `calls`, fails with; it is asked before anything is done. */
  readonly fault?: (call: string) => Fault | undefined;
}

/**
 * A stand-in for a node that holds as much of a log as the test lets it have, and shows it as a node must: a
 * chunk of an owner is listed when all before it are whole here or acknowledged.
 */
export class FakeReplica {
  /** The calls that came, as `read node1-chunk000000000 8`, `list`, `ack node1-chunk000000000 8`. */
  readonly calls: string[] = [];
  /** Chunks that this replica knows to be acknowledged. */
  readonly acked = new Set<string>();
  url = '';
  /** Calls that showed it a version of a list that another node had given. */
  foreignVersionCount = 0;
  readonly #log: FakeLog;
  readonly #options: FakeReplicaOptions;
  readonly #server: Server;
  readonly #sizes = new Map<string, number>();
  readonly #whole = new Set<string>();
  readonly #changed = new ChangeSignal();
  #listVersion = 0;

  private constructor(log: FakeLog, options: FakeReplicaOptions) {
    this.#log = log;
    this.#options = options;
    this.#server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://node');
      void this.#answer(pathname, searchParams, response);
    });
  }

  /** Listens on a free port until the test ends. */
  static async start(
    t: Test,
    log: FakeLog,
    options: FakeReplicaOptions = {},
  ): Promise<FakeReplica> {
    const replica = new FakeReplica(log, options);
    await new Promise<void>((resolve) => replica.#server.listen(0, '127.0.0.1', resolve));
    replica.url = `http://127.0.0.1:${(replica.#server.address() as AddressInfo).port}`;
    t.teardown(() => replica.die());
    return replica;
  }

  /** Breaks all connections and takes no more. */
  die(): void {
    this.#server.close();
    this.breakConnections();
  }

  /** Breaks all connections; new ones are taken. */
  breakConnections(): void {
    this.#server.closeAllConnections();
  }

  /** Gets what the owner has of a chunk, or the first bytes of it. */
  pull(name: string, byteCount = Number.POSITIVE_INFINITY): void {
    const chunk = this.#log.chunk(name);
    if (this.acked.has(name)) return;
    const isNew = !this.#sizes.has(name);
    const size = Math.min(byteCount, chunk.bytes.length);
    this.#sizes.set(name, Math.max(size, this.#sizes.get(name) ?? 0));
    const isWhole = chunk.isSealed && this.#sizes.get(name) === chunk.bytes.length;
    if (isNew || isWhole !== this.#whole.has(name)) this.#listVersion += 1;
    if (isWhole) this.#whole.add(name);
    this.#changed.notify();
  }

  pullAll(): void {
    for (const { name } of this.#log.chunks) this.pull(name);
  }

  /** Whether it holds all of the chunk and knows that. */
  isWhole(name: string): boolean {
    return this.#whole.has(name);
  }

  size(name: string): number | undefined {
    return this.#sizes.get(name);
  }

  /** Hears of an acknowledgement. */
  learnAck(name: string): void {
    this.acked.add(name);
    this.#sizes.delete(name);
    this.#listVersion += 1;
    this.#changed.notify();
  }

  async #answer(path: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const chunk = query.get('chunk') ?? '';
    const place = path === '/read' ? query.get('off') : query.get('size');
    const call = [path.slice(1).replace('listChunks', 'list'), chunk, place].join(' ').trim();
    this.calls.push(call);
    const fault = this.#options.fault?.(call);
    if (fault === 'cut') response.destroy();
    else if (fault === 'cut answer') {
      response.writeHead(200, { 'Content-Length': 1_000 }).write('[');
      setImmediate(() => response.destroy());
    } else if (fault !== undefined) sendError(response, fault);
    else if (path === '/read') await this.#read(query, response);
    else if (path === '/listChunks') await this.#sendList(query, response);
    else if (path === '/ack') this.#ack(chunk, Number(place), response);
    else {
      const { node = 'replica', cluster = 'cluster1' } = this.#options;
      response.end(JSON.stringify({ node, cluster, maxBatch: 4_194_304 }));
    }
  }

  async #read(query: URLSearchParams, response: ServerResponse): Promise<void> {
    const name = query.get('chunk') ?? '';
    const offset = Number(query.get('off'));
    await this.#hold(query, response, () => {
      const size = this.#sizes.get(name);
      return size !== undefined && size <= offset && !this.#whole.has(name);
    });
    const size = this.#sizes.get(name);
    if (size === undefined) {
      sendError(response, 'chunk_not_found', this.acked.has(name) ? 'acked' : 'pending');
      return;
    }
    if (offset > size) {
      sendError(response, 'offset_out_of_range');
      return;
    }
    const rest = this.#log.chunk(name).bytes.subarray(offset, size);
    const byteCountMax = Number(query.get('max_size'));
    const fitting = rest.subarray(0, byteCountMax).lastIndexOf('\n') + 1;
    const bytes = rest.subarray(0, fitting > 0 ? fitting : rest.indexOf('\n') + 1);
    response.writeHead(200, {
      'chukcha-chunk-state': this.#whole.has(name) ? 'sealed' : 'open',
      'chukcha-chunk-size': size,
      'chukcha-next-offset': offset + bytes.length,
      'Content-Length': bytes.length,
    });
    response.end(bytes);
  }

  async #sendList(query: URLSearchParams, response: ServerResponse): Promise<void> {
    const version = query.get('version') ?? this.#version;
    if (!version.startsWith(`${this.url}.`)) this.foreignVersionCount += 1;
    await this.#hold(query, response, () => version === this.#version);
    response.writeHead(200, {
      'chukcha-list-version': this.#version,
      'chukcha-cluster-id': this.#options.cluster ?? 'cluster1',
    });
    response.end(JSON.stringify(this.#log.owners().flatMap((owner) => this.#listOf(owner))));
  }

  get #version(): string {
    return `${this.url}.${this.#listVersion}`;
  }

  #listOf(owner: string): ListedChunk[] {
    const listed: ListedChunk[] = [];
    for (const { name } of this.#log.ownedBy(owner)) {
      if (this.acked.has(name)) continue;
      const size = this.#sizes.get(name);
      if (size === undefined) break;
      const complete = this.#whole.has(name);
      listed.push({ name, complete, size });
      if (!complete) break;
    }
    return listed;
  }

  #ack(name: string, size: number, response: ServerResponse): void {
    if (this.acked.has(name)) response.end('{}');
    else if (!this.#sizes.has(name)) sendError(response, 'chunk_not_found', 'pending');
    else if (!this.#whole.has(name)) sendError(response, 'chunk_open');
    else if (size < this.#log.chunk(name).bytes.length) sendError(response, 'ack_size_too_small');
    else {
      this.learnAck(name);
      response.end('{}');
    }
  }

  async #hold(
    query: URLSearchParams,
    response: ServerResponse,
    isUnchanged: () => boolean,
  ): Promise<void> {
    const endMs = systemClock.monotonicMs() + Number(query.get('wait_ms'));
    response.once('close', () => this.#changed.notify());
    while (isUnchanged() && !response.closed) {
      const timeoutMs = endMs - systemClock.monotonicMs();
      if (timeoutMs <= 0) return;
      await this.#changed.wait({ clock: systemClock, timeoutMs });
    }
  }
}

/** Answers with an error as a node does. */
export function sendError(response: ServerResponse, code: ErrorCode, state?: ChunkState): void {
  const { status } = errorCodes[code];
  response
    .writeHead(status, state === undefined ? {} : { 'chukcha-chunk-state': state })
    .end(JSON.stringify({ error: { code, message: `Refused by the test: ${code}.` } }));
}
