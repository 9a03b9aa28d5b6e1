import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A start takes 0.2 s, and up to 2 s on old data of a busy machine. */
const startMsMax = 15_000;

/** Ports are free when they are asked for; another process may still be faster. */
const startTriesMax = 3;

/** An etcd stops in some milliseconds; one that is stopped by SIGSTOP does not. */
const stopMsMax = 5_000;

/**
 * Why tests that need etcd are skipped; `false` when it is there. Where `CI` is set it has to be there, so that no
 * run passes without these tests.
 */
export function reasonWithoutEtcd(): string | false {
  const { error } = spawnSync('etcd', ['--version']);
  if (error === undefined) return false;
  const reason = `etcd cannot be started (${error.message}): install it, as with apt-get install etcd-server`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

/** An etcd of one member in a directory of its own, whose process a test can treat badly. */
export class EtcdProcess {
  readonly #directory: string;
  readonly #ports: readonly [client: number, peer: number];
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;

  private constructor(directory: string, ports: readonly [number, number]) {
    this.#directory = directory;
    this.#ports = ports;
  }

  /** Starts one on free ports; resolves when it answers. */
  static async start(): Promise<EtcdProcess> {
    for (let triesLeft = startTriesMax; ; triesLeft -= 1) {
      const etcd = await EtcdProcess.prepare();
      try {
        await etcd.restart();
        return etcd;
      } catch (error) {
        await etcd.close();
        if (triesLeft <= 1) throw error;
      }
    }
  }

  /** Chooses directory and ports of one that {@link restart} starts. */
  static async prepare(): Promise<EtcdProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-etcd-'));
    return new EtcdProcess(directory, await findFreePorts());
  }

  get port(): number {
    return this.#ports[0];
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it, on the data that is there; resolves when it answers. */
  async restart(): Promise<void> {
    const [clientUrl, peerUrl] = this.#ports.map((port) => `http://127.0.0.1:${port}`);
    const child = spawn(
      'etcd',
      [
        ['--name', 'test'],
        ['--data-dir', join(this.#directory, 'data')],
        ['--listen-client-urls', `${clientUrl}`],
        ['--advertise-client-urls', `${clientUrl}`],
        ['--listen-peer-urls', `${peerUrl}`],
        ['--initial-advertise-peer-urls', `${peerUrl}`],
        ['--initial-cluster', `test=${peerUrl}`],
        ['--logger', 'zap'],
        ['--log-level', 'error'],
        '--unsafe-no-fsync',
        // Without these a start on old data waits 2 s for an election of one.
        ['--heartbeat-interval', '20'],
        ['--election-timeout', '200'],
      ].flat(),
      { stdio: 'ignore' },
    );
    this.#child = child;
    this.#guard = startGuard(child, this.#directory);
    const startedMs = performance.now();
    while (!(await this.isHealthy())) {
      if (child.exitCode !== null) throw new Error(`etcd has ended with code ${child.exitCode}`);
      if (performance.now() - startedMs > startMsMax) throw new Error('etcd does not answer');
      await delay(20);
    }
  }

  async isHealthy(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(1_000) });
      return (await answer.text()).includes('true');
    } catch {
      return false;
    }
  }

  /** Ends it as an administrator would. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends it as a power cut would, but for what the system still writes. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops it where it is: connections stay open, and nothing answers. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Removes its data; it has to be stopped. */
  async wipe(): Promise<void> {
    await rm(join(this.#directory, 'data'), { recursive: true, force: true });
  }

  /** All keys below a prefix with their values, as etcd has them. */
  async read(prefix: string): Promise<Map<string, string>> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    const { kvs = [] } = await this.#call('range', { key: encode(prefix), range_end: encode(end) });
    return new Map(kvs.map(({ key, value }) => [decode(key), decode(value)] as const));
  }

  /** Puts many keys at once, and removes those without a value; etcd takes up to 128 together. */
  async write(
    changes: readonly (readonly [key: string, value: string | undefined])[],
  ): Promise<void> {
    const success = changes.map(([key, value]) =>
      value === undefined
        ? { request_delete_range: { key: encode(key) } }
        : { request_put: { key: encode(key), value: encode(value) } },
    );
    await this.#call('txn', { success });
  }

  /** Forgets all changes up to now. */
  async compact(): Promise<void> {
    const { header } = await this.#call('range', { key: encode('any') });
    await this.#call('compaction', { revision: header.revision, physical: true });
  }

  /** Ends it and removes its directory. */
  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#guard?.kill('SIGKILL');
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    child.kill(signal);
    await once(child, 'exit');
    clearTimeout(timer);
  }

  /** etcd takes its calls as JSON too, with keys and values in base64. */
  async #call(method: string, request: object): Promise<JsonAnswer> {
    const answer = await fetch(`${this.url}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(request),
    });
    if (!answer.ok) throw new Error(`etcd refuses ${method}: ${await answer.text()}`);
    return (await answer.json()) as JsonAnswer;
  }
}

interface JsonAnswer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly { readonly key: string; readonly value: string }[];
}

/** Ends an etcd, and removes its directory, when this process ends in whatever way without having done it. */
function startGuard(etcd: ChildProcess, directory: string): ChildProcess {
  const script = 'cat > /dev/null; kill -KILL "$1"; rm -rf "$2"';
  const guard = spawn('sh', ['-c', script, 'guard', String(etcd.pid), directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A signal for the whole group of processes, as a terminal sends it, has not to end the guard first.
    detached: true,
  });
  guard.unref();
  return guard;
}

async function findFreePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address !== null && typeof address !== 'string') ports.push(address.port);
  }
  for (const server of servers) server.close();
  const [clientPort = 0, peerPort = 0] = ports;
  return [clientPort, peerPort];
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decode(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
