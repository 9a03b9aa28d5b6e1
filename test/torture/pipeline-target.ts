/** A real target of a sink, with a place for lines `{"seq":N,"text":"..."}`, that can be killed and started again. */
export interface PipelineTarget {
  readonly port: number;
  /** The address for `--to` by way of a port, which may be that of a proxy. */
  address(port: number): string;
  /** Options of the output with which it gives up waiting for an answer after so many milliseconds. */
  impatience(timeoutMs: number): readonly string[];
  isWrite(method: string, path: string): boolean;
  /** Ends it as a power cut would end its process. */
  kill(): Promise<void>;
  /** Starts it on the same port and data. */
  restart(): Promise<void>;
  /** The numbers of all lines that it has, as often as it has them. */
  numbers(): Promise<number[]>;
  close(): Promise<void>;
}

export const targetNames = ['clickhouse', 'opensearch', 'elasticsearch'] as const;

export type TargetName = (typeof targetNames)[number];

/** How many of the last inserts ClickHouse knows again. */
const deduplicationWindow = 1_000;

const pageSize = 10_000;

/** Starts what the tests of the output plugins start. Throws what is missing on this machine. */
export function startTarget(name: TargetName): Promise<PipelineTarget> {
  return name === 'clickhouse' ? startClickHouse() : startSearchServer(name);
}

async function startClickHouse(): Promise<PipelineTarget> {
  const { TestClickHouse } = (await importSupport(
    'output-clickhouse',
    'test-clickhouse',
  )) as ClickHouseSupport;
  const server = await TestClickHouse.start();
  await server.ask(
    `CREATE TABLE logs (seq UInt64, text String) ENGINE = MergeTree ORDER BY seq SETTINGS non_replicated_deduplication_window = ${deduplicationWindow}`,
  );
  return {
    get port() {
      return server.port;
    },
    address: (port) => `clickhouse://127.0.0.1:${port}/default/logs`,
    impatience: (timeoutMs) => [`timeout_seconds=${Math.ceil(timeoutMs / 1_000)}`],
    isWrite: (_method, path) => path.includes('INSERT'),
    kill: () => server.kill(),
    restart: () => server.restart(),
    numbers: async () => (await server.ask('SELECT seq FROM logs')).split('\n').map(Number),
    close: () => server.close(),
  };
}

async function startSearchServer(name: 'opensearch' | 'elasticsearch'): Promise<PipelineTarget> {
  const support = (await importSupport('output-elasticsearch', 'search-server')) as SearchSupport;
  const reason = support.reasonWithoutServer(name);
  if (reason !== false) throw new Error(reason);
  const server = await support.SearchServer.start(name);
  // One shard, in which all documents have one order.
  const settings = { number_of_shards: 1, number_of_replicas: 0 };
  await server.call('PUT', '/logs', { settings });
  return {
    get port() {
      return Number(server.host.split(':')[1]);
    },
    address: (port) => `elasticsearch://127.0.0.1:${port}/logs`,
    impatience: (timeoutMs) => [`request_timeout_ms=${timeoutMs}`],
    isWrite: (method, path) => method === 'POST' && path.includes('_bulk'),
    kill: () => server.kill(),
    restart: () => server.restart(),
    numbers: () => readNumbers(server),
    close: () => server.close(),
  };
}

async function readNumbers(server: SearchServerLike): Promise<number[]> {
  const count = await server.count('logs');
  const numbers: number[] = [];
  for (let after = -1; ; ) {
    const { hits } = (await server.call('POST', '/logs/_search', {
      size: pageSize,
      sort: [{ _seq_no: 'asc' }],
      search_after: [after],
    })) as SearchAnswer;
    const last = hits.hits.at(-1);
    if (last === undefined) break;
    for (const { _source } of hits.hits) numbers.push(_source.seq);
    after = last.sort[0];
  }
  if (numbers.length !== count)
    throw new Error(`The server counts ${count} documents and shows ${numbers.length}.`);
  return numbers;
}

/** Parts of the tests of a plugin, as built: they are no part of what it publishes. */
function importSupport(plugin: string, file: string): Promise<unknown> {
  const path = `../../../plugins/${plugin}/build/test/support/${file}.js`;
  return import(new URL(path, import.meta.url).href);
}

interface ClickHouseSupport {
  readonly TestClickHouse: {
    start(): Promise<{
      readonly port: number;
      ask(statement: string): Promise<string>;
      kill(): Promise<void>;
      restart(): Promise<void>;
      close(): Promise<void>;
    }>;
  };
}

interface SearchServerLike {
  readonly host: string;
  call(method: string, path: string, body?: object): Promise<unknown>;
  count(index: string): Promise<number>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

interface SearchSupport {
  reasonWithoutServer(product: string): string | false;
  readonly SearchServer: { start(product: string): Promise<SearchServerLike> };
}

interface SearchAnswer {
  readonly hits: {
    readonly hits: readonly {
      readonly _source: { readonly seq: number };
      readonly sort: readonly [number];
    }[];
  };
}
