import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { systemClock } from '../common/clock.js';
import { systemRandom } from '../common/random.js';
import { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import { ChildProgram, firstLineOf } from '../processes/child-program.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { findFreePort } from './free-port.js';

/** Who etcd lets in: only who shows a certificate of the authority. */
export interface EtcdTls {
  /** What etcd is to show, and the authority; paths of PEM files. */
  readonly certPath: string;
  readonly keyPath: string;
  readonly caPath: string;
  /** What its owner shows it. */
  readonly owner: { readonly ca: string; readonly cert: string; readonly key: string };
}

export interface EtcdOptions {
  /** Name on the PATH, or path. */
  readonly program: string;
  readonly directory: string;
  readonly logFile: string;
  /** @default plain connections of anybody */
  readonly tls?: EtcdTls | undefined;
}

/** It takes a fraction of a second where nothing else runs. */
const startMsMax = 30_000;
const startPollMs = 50;

/** How long its owner waits for an answer. */
const answerMsMax = 2_000;

/** An etcd of its own: one data directory, and one process after the other. */
export class EtcdProcess {
  readonly version: string;
  readonly port: number;
  readonly #options: EtcdOptions;
  readonly #peerPort: number;
  #child: ChildProgram | undefined;

  private constructor(options: EtcdOptions, version: string, ports: readonly [number, number]) {
    this.#options = options;
    this.version = version;
    [this.port, this.#peerPort] = ports;
  }

  /** Starts etcd and waits until it answers. Throws `invalid_option` when there is none. */
  static async start(options: EtcdOptions): Promise<EtcdProcess> {
    const { program } = options;
    const line = await firstLineOf(program, ['--version']);
    const version = /etcd Version: (\S+)/.exec(line ?? '')?.[1];
    if (version === undefined) {
      throw new ChukchaError(
        'invalid_option',
        `There is no etcd that can be run as ${JSON.stringify(program)}: install etcd 3.4 or newer so that it is on the PATH, or name it with --etcd-binary.`,
      );
    }
    // Not those of the run's seed: two runs with one seed may go on at the same time.
    const random = new SeededRandom(Math.floor(systemRandom.fraction() * 2 ** 32));
    const ports = [await findFreePort(random), await findFreePort(random)] as const;
    const etcd = new EtcdProcess(options, version, ports);
    etcd.begin();
    await etcd.waitUntilReady();
    return etcd;
  }

  /** Starts the process if it does not run. */
  begin(): void {
    if (this.#child?.hasEnded === false) return;
    const { program, directory, logFile, tls } = this.#options;
    const clientUrl = this.#url;
    const peerUrl = `http://127.0.0.1:${this.#peerPort}`;
    const words = {
      '--name': 'torture',
      '--data-dir': directory,
      '--listen-client-urls': clientUrl,
      '--advertise-client-urls': clientUrl,
      '--listen-peer-urls': peerUrl,
      '--initial-advertise-peer-urls': peerUrl,
      '--initial-cluster': `torture=${peerUrl}`,
    };
    this.#child = new ChildProgram({
      program,
      words: [...Object.entries(words).flat(), ...tlsWords(tls)],
      logFile,
      onLine: () => undefined,
    });
  }

  /** Throws `timeout` when it does not answer in time. */
  async waitUntilReady(): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + startMsMax;
    while (!(await this.#isHealthy())) {
      if (systemClock.monotonicMs() > deadlineMs) {
        throw new ChukchaError(
          'timeout',
          `etcd did not answer within ${startMsMax} ms: see ${this.#options.logFile}.`,
        );
      }
      await sleep(systemClock, startPollMs);
    }
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  freeze(): void {
    this.#child?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#child?.signal('SIGCONT');
  }

  /**
   * Makes a user who may read and write below a prefix and nothing else, and has etcd ask everybody who calls from now on.
   * Nobody knows the password of `root`, which etcd wants to have.
   */
  async askWhoCalls(user: string, password: string, prefix: string): Promise<void> {
    const rangeEnd = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
    const perm = { permType: 'READWRITE', key: encode(prefix), range_end: encode(rangeEnd) };
    await this.#call('user/add', { name: 'root', password: randomBytes(32).toString('hex') });
    await this.#call('role/add', { name: 'root' });
    await this.#call('user/grant', { user: 'root', role: 'root' });
    await this.#call('role/add', { name: user });
    await this.#call('role/grant', { name: user, perm });
    await this.#call('user/add', { name: user, password });
    await this.#call('user/grant', { user, role: user });
    await this.#call('enable', {});
  }

  get #url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  #isHealthy(): Promise<boolean> {
    return this.#ask('/health').then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** etcd takes its calls as JSON too. */
  async #call(method: string, request: object): Promise<void> {
    const { status, text } = await this.#ask(`/v3/auth/${method}`, JSON.stringify(request));
    if (status !== 200) throw new Error(`etcd refused ${method}: ${text}`);
  }

  /** By hand, because `fetch` takes no certificates. */
  async #ask(path: string, body?: string): Promise<{ status: number | undefined; text: string }> {
    const { tls } = this.#options;
    const request = (tls === undefined ? requestPlain : requestTls)(`${this.#url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      agent: false,
      signal: AbortSignal.timeout(answerMsMax),
      ...tls?.owner,
    });
    request.end(body);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    const text = Buffer.concat(await answer.toArray()).toString();
    return { status: answer.statusCode, text };
  }
}

function tlsWords(tls: EtcdTls | undefined): string[] {
  if (tls === undefined) return [];
  const { certPath, keyPath, caPath } = tls;
  const files = { '--cert-file': certPath, '--key-file': keyPath, '--trusted-ca-file': caPath };
  return [...Object.entries(files).flat(), '--client-cert-auth'];
}

/** Keys are bytes, which JSON has as base64. */
function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
