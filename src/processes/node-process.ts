import { join } from 'node:path';
import { systemClock } from '../common/clock.js';
import { makeDirectory } from '../common/make-directory.js';
import { ChangeSignal } from '../common/wait.js';
import { ChildProgram } from './child-program.js';

export interface NodeProcessOptions {
  readonly name: string;
  /** The built command line of this package. */
  readonly cliPath: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Of `serve`, apart from name, directory and address. */
  readonly words: readonly string[];
}

/** How long a process may take to stop before it is killed: as long as a drain and its last requests may take. */
const stopMsMax = 30_000;

/** A node as its users run it: one data directory, and one process after the other. */
export class NodeProcess {
  readonly name: string;
  readonly dataDirectory: string;
  /** What the node called an error, by its sentence without times and fields. */
  readonly errors = new Map<string, number>();
  /** What ended a process that nobody has ended. */
  readonly unexpectedEnds: string[] = [];
  readonly changed = new ChangeSignal();
  readonly #options: NodeProcessOptions;
  #child: ChildProgram | undefined;
  #url: string | undefined;
  #lastLine = '';

  constructor(options: NodeProcessOptions) {
    this.name = options.name;
    this.dataDirectory = options.dataDirectory;
    this.#options = options;
  }

  /** Where it takes calls; `undefined` while it takes none, as far as anybody knows who has not asked it. */
  get url(): string | undefined {
    return this.#url;
  }

  get port(): number | undefined {
    return this.#url === undefined ? undefined : Number(new URL(this.#url).port);
  }

  /** `undefined` while none runs. */
  get processId(): number | undefined {
    return this.#child?.processId;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** What it said last. */
  get lastLine(): string {
    return this.#lastLine;
  }

  /** Starts a process if none runs, and does not wait for it. */
  async begin(extraWords: readonly string[] = []): Promise<void> {
    if (this.#child !== undefined) return;
    const { cliPath, dataDirectory, logFile, words } = this.#options;
    await makeDirectory(dataDirectory);
    const fixed = ['--name', this.name, '--data', dataDirectory, '--listen', '127.0.0.1:0'];
    const child = new ChildProgram({
      program: process.execPath,
      words: [cliPath, 'serve', ...fixed, ...words, ...extraWords],
      logFile,
      onLine: (line) => this.#onLine(child, line),
    });
    this.#child = child;
    void child.ended.then((how) => {
      if (this.#child !== child) return;
      this.#leave();
      this.unexpectedEnds.push(`${this.name}: ${how}; it said last: ${this.#lastLine}`);
    });
  }

  /** Resolves with whether it takes calls now. */
  async waitUntilReady(limitMs: number): Promise<boolean> {
    const deadlineMs = systemClock.monotonicMs() + limitMs;
    while (this.#url === undefined) {
      const timeoutMs = deadlineMs - systemClock.monotonicMs();
      if (timeoutMs <= 0) return false;
      await this.changed.wait({ clock: systemClock, timeoutMs });
    }
    return true;
  }

  /** Ends the process as a crash of it does. */
  async kill(): Promise<void> {
    const child = this.#leave();
    await child?.kill();
  }

  /** Ends the process as its owner does. */
  async stop(): Promise<void> {
    const child = this.#leave();
    child?.signal('SIGTERM');
    const overdue = systemClock.after(stopMsMax, () => {
      this.unexpectedEnds.push(`${this.name}: it did not stop within ${stopMsMax} ms`);
      child?.signal('SIGKILL');
    });
    await child?.ended;
    overdue.cancel();
  }

  /** Has it take its files in again; not before it takes calls, because a process that starts would end of it. */
  reload(): void {
    if (this.#url !== undefined) this.#child?.signal('SIGHUP');
  }

  freeze(): void {
    this.#child?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#child?.signal('SIGCONT');
  }

  /** From now on nothing that ends is unexpected. */
  #leave(): ChildProgram | undefined {
    const child = this.#child;
    this.#child = undefined;
    this.#url = undefined;
    this.changed.notify();
    return child;
  }

  #onLine(child: ChildProgram, line: string): void {
    this.#lastLine = line;
    const [, level, rest = ''] = /^\S+ (\w+) +(.*)$/.exec(line) ?? [];
    if (level === 'error') {
      const sentence = rest.replace(/ \w+=.*$/, '');
      this.errors.set(sentence, (this.errors.get(sentence) ?? 0) + 1);
    }
    const url = /Node is ready\..* url=(\S+)/.exec(rest)?.[1];
    if (url === undefined || this.#child !== child) return;
    this.#url = url;
    this.changed.notify();
  }
}

/** The file that `serve` of a node says everything in. */
export function logFileOf(directory: string, name: string): string {
  return join(directory, `${name}.log`);
}
