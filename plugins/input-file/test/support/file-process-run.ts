import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { soon } from '@chukcha/plugin-api/conformance';
import type { FileProcessMessage } from './file-process.js';
import type { RunOptions } from './file-run.js';

const program = fileURLToPath(new URL('./file-process.js', import.meta.url));

/** Starts the input when it is told to; sets limits of its user namespace before and meanwhile. */
const limitingShell = `
  while read -r name value; do
    if [ "$name" = start ]; then "$@" & else echo "$value" > "/proc/sys/user/$name" || exit 1; fi
  done
  kill $!`;

/** How `unshare` gives a command a user namespace, in which limits can be set without touching those of others. */
const unshare = ['unshare', '--user', '--map-root-user'] as const;

/** A limit of a user namespace. */
type LimitName = 'max_inotify_watches' | 'max_inotify_instances';

/** Why limits cannot be set here; `undefined` where they can. */
export async function whyNoLimits(): Promise<string | undefined> {
  const [command, ...words] = unshare;
  const script = 'echo 1 > /proc/sys/user/max_inotify_watches';
  const child = spawn(command, [...words, 'sh', '-c', script], { stdio: 'ignore' });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code) => resolve(code === 0 ? undefined : `unshare ended with ${code}`));
  });
  return failure === undefined
    ? undefined
    : `no user namespace with its own limits can be made: ${failure}`;
}

/** The input in a process of its own. */
export class FileProcessRun {
  /** All lines that came, in their order. */
  readonly lines: string[] = [];
  readonly logs: { readonly level: string; readonly text: string }[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #isLimited: boolean;
  #onMessage: () => void = () => undefined;

  private constructor(words: readonly string[], isLimited: boolean) {
    const [command = '', ...rest] = words;
    this.#child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#isLimited = isLimited;
    createInterface({ input: this.#child.stdout }).on('line', (text) => {
      const message = JSON.parse(text) as FileProcessMessage;
      if (message.kind === 'lines') this.lines.push(...message.lines);
      else this.logs.push(message);
      this.#onMessage();
    });
  }

  static start(options: RunOptions): FileProcessRun {
    return new FileProcessRun([process.execPath, program, JSON.stringify(options)], false);
  }

  /** Starts it in a user namespace whose limit has a value. */
  static startLimited(options: RunOptions, name: LimitName, value: number): FileProcessRun {
    const command = [process.execPath, program, JSON.stringify(options)];
    const run = new FileProcessRun([...unshare, 'sh', '-c', limitingShell, 'sh', ...command], true);
    run.setLimit(name, value);
    run.#child.stdin.write('start\n');
    return run;
  }

  setLimit(name: LimitName, value: number): void {
    this.#child.stdin.write(`${name} ${value}\n`);
  }

  /** Resolves once something is so that messages make so. */
  async until(isDone: () => boolean, what: string): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!isDone()) {
        await new Promise<void>((resolve) => {
          this.#onMessage = resolve;
        });
      }
    };
    await soon(wait(), what);
  }

  /** Stops the process as it is, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  async end(): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#isLimited) this.#child.stdin.end();
    else this.#child.kill();
    await exited;
  }
}
