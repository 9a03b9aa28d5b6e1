import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request as sendPlain } from 'node:http';
import { request as sendSecure } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A start takes 0.2 s, and up to 2 s on old data of a busy machine. */
const startMsMax = 15_000;

/** Ports are free when they are asked for; another process may still be faster. */
const startTriesMax = 3;

const rootPassword = 'root-of-the-test';

const requestMsMax = 5_000;

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

/** How an etcd is reached by TLS: only with a certificate that the authority has signed. */
export interface EtcdTls {
  readonly certPath: string;
  readonly keyPath: string;
  readonly caPath: string;
}

export interface EtcdProcessOptions {
  readonly tls?: EtcdTls;
  /** Further words of the command line. */
  readonly words?: readonly string[];
}

/** An etcd of one member in a directory of its own, whose process a test can treat badly. */
export class EtcdProcess {
  readonly #directory: string;
  readonly #ports: readonly [client: number, peer: number];
  readonly #options: EtcdProcessOptions;
  /** What its own calls of it show when it asks who they are. */
  #token: string | undefined;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;

  private constructor(
    directory: string,
    ports: readonly [number, number],
    options: EtcdProcessOptions,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#ports = ports;
  }

  /** Starts one on free ports; resolves when it answers. */
  static async start(options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
    for (let triesLeft = startTriesMax; ; triesLeft -= 1) {
      const etcd = await EtcdProcess.prepare(options);
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
  static async prepare(options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-etcd-'));
    return new EtcdProcess(directory, await findFreePorts(), options);
  }

  get port(): number {
    return this.#ports[0];
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  /** Starts it, on the data that is there; resolves when it answers. */
  async restart(): Promise<void> {
    const [clientUrl, peerUrl] = [this.url, `http://127.0.0.1:${this.#ports[1]}`];
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
        ...tlsWords(this.#options.tls),
        [...(this.#options.words ?? [])],
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
      return (await this.#fetch('/health')).text.includes('true');
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

  /** Makes a user who may read and write below a prefix, and has etcd ask everybody who he is. */
  async askWhoCalls(user: string, password: string, prefix: string): Promise<void> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    await this.#call('role/add', { name: 'root' }, 'auth');
    await this.#call('user/add', { name: 'root', password: rootPassword }, 'auth');
    await this.#call('user/grant', { user: 'root', role: 'root' }, 'auth');
    await this.#call('role/add', { name: user }, 'auth');
    const perm = { permType: 'READWRITE', key: encode(prefix), range_end: encode(end) };
    await this.#call('role/grant', { name: user, perm }, 'auth');
    await this.#call('user/add', { name: user, password }, 'auth');
    await this.#call('user/grant', { user, role: user }, 'auth');
    await this.#call('enable', {}, 'auth');
  }

  /** Gives a user another password; tokens that were given before are of no use then. */
  async changePassword(user: string, password: string): Promise<void> {
    const root = { name: 'root', password: rootPassword };
    this.#token = (await this.#call('authenticate', root, 'auth')).token;
    await this.#call('user/changepw', { name: user, password }, 'auth');
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
  async #call(method: string, request: object, service = 'kv'): Promise<JsonAnswer> {
    const { isOk, text } = await this.#fetch(`/v3/${service}/${method}`, JSON.stringify(request));
    if (!isOk) throw new Error(`etcd refuses ${method}: ${text}`);
    return JSON.parse(text) as JsonAnswer;
  }

  /** By hand, because `fetch` takes no certificates. */
  async #fetch(path: string, body?: string): Promise<{ isOk: boolean; text: string }> {
    const { tls } = this.#options;
    const send = tls === undefined ? sendPlain : sendSecure;
    const request = send(`${this.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      signal: AbortSignal.timeout(requestMsMax),
      agent: false,
      headers: this.#token === undefined ? {} : { Authorization: this.#token },
      ...(tls && {
        ca: readFileSync(tls.caPath),
        cert: readFileSync(tls.certPath),
        key: readFileSync(tls.keyPath),
      }),
    });
    request.end(body);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    const text = Buffer.concat(await answer.toArray()).toString();
    return { isOk: answer.statusCode === 200, text };
  }
}

function tlsWords(tls: EtcdTls | undefined): string[][] {
  if (tls === undefined) return [];
  return [
    ['--cert-file', tls.certPath],
    ['--key-file', tls.keyPath],
    ['--trusted-ca-file', tls.caPath],
    ['--client-cert-auth'],
  ];
}

interface JsonAnswer {
  readonly header: { readonly revision: string };
  readonly token?: string;
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
