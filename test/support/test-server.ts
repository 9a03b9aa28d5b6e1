import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type Koa from 'koa';
import { createRateLimitedLogger } from '../../src/common/rate-limited-logger.js';
import { createNodeMetrics, reasonsAgainst } from '../../src/node/node-metrics.js';
import { createNodeStatus } from '../../src/node/node-status.js';
import { batchBytesMaxDefault, inFlightBytesMaxDefault } from '../../src/protocol/limits.js';
import type { Access } from '../../src/server/access/access.js';
import type { ClusterSecret } from '../../src/server/access/cluster-secret.js';
import { createApp } from '../../src/server/app.js';
import { ByteBudget } from '../../src/server/byte-budget.js';
import { GroupLeases } from '../../src/server/group-leases.js';
import type { LaneOptions } from '../../src/server/lane/lane.js';
import { Listener } from '../../src/server/listener.js';
import { PipelineBoard } from '../../src/server/pipeline-board.js';
import { RequestCounts } from '../../src/server/request-counts.js';
import type { ServerPorts } from '../../src/server/server-ports.js';
import { SlabPool } from '../../src/server/slab-pool.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import type { Store } from '../../src/storage/store.js';
import { FakeClock } from './fake-clock.js';
import { RecordingLogger } from './recording-logger.js';
import { testIdentity } from './test-node.js';
import { openStore, type TestStoreOptions } from './test-store.js';

export interface TestServer {
  readonly url: string;
  readonly directory: string;
  readonly store: Store;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly app: Koa;
  readonly listener: Listener;
  readonly ports: ServerPorts;
  /** Tells the routes that the node stops, as its owner does first of all. */
  stop(): void;
  close(): Promise<void>;
}

/** The HTTP side of a node over a real store, on a free port and a clock that stands still. */
export async function startServer(
  options: TestStoreOptions & {
    readonly batchBytesMax?: number;
    readonly inFlightBytesMax?: number;
    readonly lane?: Partial<LaneOptions>;
    readonly access?: Access;
    readonly clusterSecret?: ClusterSecret;
  },
): Promise<TestServer> {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const store = await openStore({ clock, log, ...options });
  const stopping = new AbortController();
  const identity = testIdentity(options.nodeName);
  const budget = new ByteBudget(options.inFlightBytesMax ?? inFlightBytesMaxDefault);
  const pipelines = new PipelineBoard(clock);
  const status = createNodeStatus({
    identity,
    store,
    clock,
    budget,
    pipelines,
    stopping: stopping.signal,
    cluster: undefined,
    isDraining: () => false,
  });
  const counts = new RequestCounts();
  const ports: ServerPorts = {
    store,
    leases: new GroupLeases(clock),
    pipelines,
    clock,
    log: createRateLimitedLogger(log, clock),
    slabs: new SlabPool(),
    budget,
    files: new OpenFiles({ disk: store.disk, clock }),
    nodeName: identity.nodeName,
    clusterId: identity.clusterId,
    batchBytesMax: options.batchBytesMax ?? batchBytesMaxDefault,
    access: options.access,
    clusterSecret: options.clusterSecret,
    cluster: undefined,
    status,
    readiness: async () => reasonsAgainst(await status()),
    counts,
    metrics: createNodeMetrics(status, { counts, store, dataDirectory: options.directory }),
    stopping: stopping.signal,
  };
  const listener = await Listener.open(ports, { host: '127.0.0.1', port: 0 }, options.lane);
  const { url } = listener;
  const stop = (): void => stopping.abort();
  const close = async (): Promise<void> => {
    stop();
    await store.close();
    await listener.close();
    await ports.files.close();
  };
  const app = createApp(ports);
  return {
    url,
    directory: options.directory,
    store,
    clock,
    log,
    app,
    listener,
    ports,
    stop,
    close,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface CallOptions {
  readonly method?: string;
  readonly body?: string | Buffer | readonly Buffer[];
  readonly headers?: Readonly<Record<string, string | number>>;
  /** @default one connection for this call alone */
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** Makes one call; a body that is a list is sent piece by piece, chunked unless the headers say its length. */
export function call(url: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { body, agent = new Agent(), signal } = options;
  const method = options.method ?? (body === undefined ? 'GET' : 'POST');
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, {
      method,
      agent,
      headers: { ...options.headers },
      ...(signal && { signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: Buffer.concat(pieces) });
      });
    });
    if (Array.isArray(body)) {
      for (const piece of body) outgoing.write(piece);
      outgoing.end();
    } else outgoing.end(body as string | Buffer | undefined);
  });
}

/** Begins to read an answer and takes no more of its body than comes by itself, until the rest is asked for. */
export function beginRead(url: string, path: string): Promise<() => Promise<Buffer>> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, { agent: new Agent() }, (response) => {
      resolve(async () => {
        const pieces: Buffer[] = [];
        for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
        return Buffer.concat(pieces);
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

export function json(answer: Answer): unknown {
  return JSON.parse(answer.body.toString());
}

/** What an error answer says, for a comparison in one go. */
export function errorOf(answer: Answer): unknown {
  const { error } = json(answer) as { error: Record<string, unknown> };
  return { status: answer.status, ...error };
}

export async function write(
  server: TestServer,
  body: string | Buffer,
  category = 'logs',
): Promise<string> {
  const answer = await call(server.url, `/write?category=${category}`, { body });
  if (answer.status !== 200) throw new Error(`write answered ${answer.status}: ${answer.body}`);
  return (json(answer) as { chunk: string }).chunk;
}

/** A message of so many bytes, with its newline. */
export function messageOf(byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount, 'x');
  bytes[byteCount - 1] = 0x0a;
  return bytes;
}
