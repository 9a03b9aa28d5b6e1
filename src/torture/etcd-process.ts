import { systemClock } from '../common/clock.js';
import { systemRandom } from '../common/random.js';
import { SeededRandom } from '../common/seeded-random.js';
import { sleep } from '../common/wait.js';
import { ChildProgram, firstLineOf } from '../processes/child-program.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { findFreePort } from './free-port.js';

export interface EtcdOptions {
  /** Name on the PATH, or path. */
  readonly program: string;
  readonly directory: string;
  readonly logFile: string;
}

/** It takes a fraction of a second where nothing else runs. */
const startMsMax = 30_000;
const startPollMs = 50;

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
    const { program, directory, logFile } = this.#options;
    const clientUrl = `http://127.0.0.1:${this.port}`;
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
      words: Object.entries(words).flat(),
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

  #isHealthy(): Promise<boolean> {
    const signal = AbortSignal.timeout(1_000);
    return fetch(`http://127.0.0.1:${this.port}/health`, { signal }).then(
      (answer) => answer.ok,
      () => false,
    );
  }
}
