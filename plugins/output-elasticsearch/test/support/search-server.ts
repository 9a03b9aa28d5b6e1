import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The products of which real servers are put together, with the packages of their classes. */
const products = {
  opensearch: 'org.opensearch',
  elasticsearch: 'org.elasticsearch',
} as const;

export type Product = keyof typeof products;

/** A start takes 4 s, several times as long on a machine that does other things. */
const startMsMax = 120_000;

/** Maven brings 50 MB of jars, once. */
const buildMsMax = 300_000;

const services = new URL('../../../test/services/', import.meta.url);

/**
 * Why tests with a real server of this kind are skipped; `false` when one can be started. The first call on a machine has
 * Maven bring the jars into a cache in the user's home, and compiles the launcher there.
 */
export function reasonWithoutServer(product: Product): string | false {
  try {
    prepare(product);
    return false;
  } catch (error) {
    const reason = `no real ${product}: ${(error as Error).message}; it needs java, javac and mvn, as of apt-get install default-jdk-headless maven, and Maven's central repository`;
    // Loud, so that nobody takes a run without real servers for one with them.
    console.error(`\n*** ${reason}. The recorder stands in for it. ***\n`);
    return reason;
  }
}

/** Makes the directory with jars and launcher, whole or not at all; its name changes with what it is made of. */
function prepare(product: Product): string {
  const pom = readFileSync(new URL(`${product}.xml`, services));
  const launcher = readFileSync(new URL('SearchServer.java', services), 'utf8');
  const version = createHash('sha256').update(pom).update(launcher).digest('hex').slice(0, 12);
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const directory = join(cache, 'chukcha-test', `${product}-${version}`);
  run('java', ['-version'], 10_000);
  if (existsSync(directory)) return directory;
  mkdirSync(join(cache, 'chukcha-test'), { recursive: true });
  const work = mkdtempSync(join(cache, 'chukcha-test', 'work-'));
  try {
    writeFileSync(join(work, 'pom.xml'), pom);
    const source = launcher.replaceAll('org.opensearch', products[product]);
    writeFileSync(join(work, 'SearchServer.java'), source);
    run(
      'mvn',
      [
        '-B',
        '-q',
        '-f',
        join(work, 'pom.xml'),
        'dependency:copy-dependencies',
        `-DoutputDirectory=${join(work, 'lib')}`,
      ],
      buildMsMax,
    );
    run(
      'javac',
      [
        '-nowarn',
        '-cp',
        join(work, 'lib', '*'),
        '-d',
        join(work, 'classes'),
        join(work, 'SearchServer.java'),
      ],
      buildMsMax,
    );
    // Another process may have been faster.
    if (!existsSync(directory)) renameSync(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return directory;
}

function run(program: string, programArguments: readonly string[], timeout: number): void {
  const { error, status, stderr, stdout } = spawnSync(program, programArguments, {
    timeout,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${program} ended with ${status}: ${`${stdout}${stderr}`.trim().slice(-500)}`);
}

/** A real server of one node in a process of its own, with its data in a directory of its own. */
export class SearchServer {
  readonly product: Product;
  readonly #directory = mkdtempSync(join(tmpdir(), 'chukcha-search-'));
  #child: ChildProcess | undefined;
  #port = 0;

  private constructor(product: Product) {
    this.product = product;
  }

  /** Starts one; resolves when it answers. Settings are those of its configuration file. */
  static async start(
    product: Product,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<SearchServer> {
    const server = new SearchServer(product);
    await server.restart(settings);
    return server;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Starts it again on its data, on the same port. */
  async restart(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const directory = prepare(this.product);
    const port = this.#port === 0 ? {} : { 'http.port': String(this.#port) };
    const child = spawn(
      'java',
      [
        ['-Xms256m', '-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'],
        [
          '-cp',
          `${join(directory, 'lib', '*')}:${join(directory, 'classes')}`,
          'SearchServer',
          this.#directory,
        ],
        Object.entries({ ...settings, ...port }).map(([key, value]) => `${key}=${value}`),
      ].flat(),
      // It ends with its standard input, and so with this process.
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.#child = child;
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said = `${said}${piece}`.slice(-2_000);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), startMsMax);
    for await (const line of createInterface({ input: child.stdout })) {
      const listening = /^listening (\d+)$/.exec(line);
      if (listening === null) continue;
      clearTimeout(timer);
      this.#port = Number(listening[1]);
      child.stdout.resume();
      return;
    }
    clearTimeout(timer);
    throw new Error(`${this.product} did not start: ${said}`);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Ends it and removes its data. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Asks it for something, with JSON both ways; throws for a status that is no success. */
  async call(method: string, path: string, body?: object): Promise<Answer> {
    const response = await fetch(`http://${this.host}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok)
      throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Answer);
  }

  /** How many documents an index has. */
  async count(index: string): Promise<number> {
    await this.call('POST', `/${index}/_refresh`);
    return Number((await this.call('GET', `/${index}/_count`)).count);
  }

  /** The documents of an index of one shard, as the bytes that were sent, in the order in which they came. */
  async sources(index: string): Promise<Buffer[]> {
    await this.call('POST', `/${index}/_refresh`);
    const found: Buffer[] = [];
    for (let after = -1; ; ) {
      const query = { size: 10_000, sort: [{ _seq_no: 'asc' }], search_after: [after] };
      const { hits } = await this.call('POST', `/${index}/_search`, query);
      const page = hits?.hits ?? [];
      for (const { _source } of page) found.push(Buffer.from(JSON.stringify(_source)));
      const last = page.at(-1);
      if (last === undefined) return found;
      after = last.sort[0] as number;
    }
  }
}

interface Answer {
  readonly count?: number;
  readonly hits?: {
    readonly hits: readonly {
      readonly _id: string;
      readonly _source: unknown;
      readonly sort: readonly unknown[];
    }[];
  };
  readonly [key: string]: unknown;
}
