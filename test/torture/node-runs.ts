import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDeferred } from '../../src/common/deferred.js';
import { type CliRun, readUrl, startCli } from '../support/cli.js';
import { Violation } from './violation.js';

/** A node takes less than a second for both on a machine that has other things to do as well. */
const startMsMax = 30_000;
const stopMsMax = 30_000;

const lockLookMs = 1;

/** One process of the node. */
export interface NodeRun {
  readonly url: URL;
  /** From the moment at which the process is told to end, nothing that fails is its fault. */
  readonly isEnding: boolean;
}

interface CurrentRun {
  readonly cli: CliRun;
  readonly locksBefore: ReadonlySet<string>;
  url: URL | undefined;
  isEnding: boolean;
}

/** The node that is tortured: one data directory, and one process after the other. */
export class NodeRuns {
  readonly directory: string;
  /** Rejects when a process ends, or fails to start, that nobody has ended. */
  readonly failed: Promise<never>;
  readonly #fail: (error: unknown) => void;
  readonly #words: readonly string[];
  #current: CurrentRun | undefined;
  #ready = createDeferred<NodeRun>();

  constructor(directory: string, words: readonly string[]) {
    this.directory = directory;
    this.#words = words;
    const failure = createDeferred<never>();
    this.failed = failure.promise;
    this.#fail = failure.reject;
  }

  /** The process that takes calls, or the next one that will. */
  get running(): Promise<NodeRun> {
    return this.#ready.promise;
  }

  get isReady(): boolean {
    return this.#current?.url !== undefined;
  }

  /** Whether the process has its directory, so that it recovers, or has recovered, what it finds there. */
  get hasDirectory(): boolean {
    return [...this.#locks()].some((name) => !this.#current?.locksBefore.has(name));
  }

  /** Starts the next process and does not wait for it. */
  begin(): void {
    const locksBefore = this.#locks();
    const words = ['--data', this.directory, '--name', 'node1', '--listen', '127.0.0.1:0'];
    const cli = startCli(['serve', ...words, ...this.#words]);
    const run: CurrentRun = { cli, locksBefore, url: undefined, isEnding: false };
    this.#current = run;
    readUrl(cli.child.stderr).then((url) => {
      if (run.isEnding) return;
      run.url = new URL(url);
      this.#ready.resolve(run as NodeRun);
    }, this.#fail);
    cli.result.then(({ exit, stderr }) => {
      if (!run.isEnding) this.#fail(new Violation(`The node ended with ${exit}: ${stderr}`));
    }, this.#fail);
    const limit = setTimeout(() => {
      if (run.url === undefined && !run.isEnding) {
        this.#fail(new Violation(`The node has not started after ${startMsMax} ms.`));
      }
    }, startMsMax);
    cli.child.once('close', () => clearTimeout(limit));
  }

  /** Resolves when the process has its directory; at the latest when it has started. */
  async directoryTaken(): Promise<void> {
    while (!this.hasDirectory && !this.isReady)
      await Promise.race([sleep(lockLookMs), this.failed]);
  }

  /** Ends the process as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the process as its owner does. */
  async stop(): Promise<void> {
    const exit = await this.#end('SIGTERM');
    if (exit !== 0) throw new Violation(`The node stopped with ${exit}.`);
  }

  async #end(signal: NodeJS.Signals): Promise<number | string | null> {
    const run = this.#current;
    if (run === undefined) return null;
    run.isEnding = true;
    // Who waits for a process that never took calls waits on for the next one.
    if (run.url !== undefined) this.#ready = createDeferred();
    run.cli.child.kill(signal);
    const limit = setTimeout(() => run.cli.child.kill('SIGKILL'), stopMsMax);
    const { exit, stderr } = await run.cli.result.finally(() => clearTimeout(limit));
    // No kill takes what the kernel has: an unanswered write that was cut off is a warning, damage an error.
    const report = stderr.split('\n').find((line) => /^\S+ error /.test(line));
    if (report !== undefined) throw new Violation(`The node said: ${report}`);
    return exit;
  }

  #locks(): ReadonlySet<string> {
    try {
      return new Set(readdirSync(join(this.directory, 'running.lock')));
    } catch {
      // There is none before the first start.
      return new Set();
    }
  }
}
