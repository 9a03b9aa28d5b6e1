import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createDeferred, type Deferred } from '../common/deferred.js';
import { atExit } from './at-exit.js';

export interface ProgramOptions {
  readonly program: string;
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What the program says goes to the end of this file. */
  readonly logFile: string;
  /** Gets each line that it says. */
  readonly onLine: (line: string) => void;
}

/** Variables that stand for options of this package: they are for the command that was typed, and not for its children. */
const optionVariablePrefix = 'CHUKCHA_';

/** One process of a program. */
export class ChildProgram {
  /** Resolves with what ended it, as a sentence. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #forget: () => void;
  readonly #ended: Deferred<string> = createDeferred();
  #hasEnded = false;

  constructor({ program, words, environment, logFile, onLine }: ProgramOptions) {
    this.ended = this.#ended.promise;
    // In a process group of its own: Ctrl-C is for this process, which stops the others when it is time.
    this.#child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...ownEnvironment(), ...environment },
    });
    // So that none is left behind when this process ends in the middle of its work.
    this.#forget = atExit('processes', () => this.#child.kill('SIGKILL'));
    const log = createWriteStream(logFile, { flags: 'a' });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        onLine(line);
      });
    }
    this.#child.once('error', (error) => this.#end(`it could not be run: ${error.message}`));
    this.#child.once('close', (code, signal) => {
      log.end();
      this.#end(`it ended with ${code ?? signal}`);
    });
  }

  /** `undefined` when the program cannot be run. */
  get processId(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Does nothing when the process has ended. */
  signal(name: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  #end(how: string): void {
    this.#forget();
    this.#hasEnded = true;
    this.#ended.resolve(how);
  }
}

function ownEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith(optionVariablePrefix)));
}

/** The first line that a program prints; `undefined` when it cannot be run. */
export async function firstLineOf(
  program: string,
  words: readonly string[],
): Promise<string | undefined> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString();
  });
  try {
    // Rejects when there is no such program.
    await once(child, 'close');
  } catch {
    return undefined;
  }
  return text.split('\n')[0] || undefined;
}
