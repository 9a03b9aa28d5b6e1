import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { EngineAnswer, EngineCall, EngineStart } from './embedded-engine-messages.js';

const program = fileURLToPath(new URL('./embedded-engine-process.js', import.meta.url));

/** How long the engine may take to load and to open its directory: a second, and more on a busy machine. */
const startMsMax = 60_000;

/** How long a directory may still be held by the engine of a process that was killed. */
const lockedMsMax = 5_000;
const lockedRetryMs = 100;

/** How long an engine may take to close its directory. One that has failed hangs for minutes in its own handler of signals. */
const closeMsMax = 10_000;

interface Waiting {
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

/** An engine in a process of its own, with nothing in its standard input. */
export class EngineChild {
  /** By directory: all that use one in this process have the same engine. */
  static readonly #shared = new Map<string, Promise<EngineChild | EngineStart>>();

  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #userCount = 0;
  #ended: Error | undefined;

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#child = child;
    child.on('message', (answer) => this.#onAnswer(answer as EngineAnswer));
    child.once('exit', (code, signal) => {
      this.#ended = new Error(
        `The embedded engine has ended with ${signal ?? code}; the next statement starts it again.`,
      );
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
      this.#waiting.clear();
      EngineChild.#shared.delete(this.#directory);
    });
  }

  /**
   * @param directory where the data lies; empty to see only whether the engine is installed
   *
   * Resolves with an engine, or with why there is none.
   */
  static async start(directory: string): Promise<EngineChild | EngineStart> {
    const starting = EngineChild.#shared.get(directory) ?? EngineChild.#start(directory);
    EngineChild.#shared.set(directory, starting);
    const found = await starting;
    if (found instanceof EngineChild) found.#userCount += 1;
    else EngineChild.#shared.delete(directory);
    return found;
  }

  static async #start(directory: string): Promise<EngineChild | EngineStart> {
    const untilMs = performance.now() + lockedMsMax;
    for (;;) {
      const child = fork(program, [directory], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        serialization: 'advanced',
        // How this process was started says nothing of that one.
        execArgv: [],
      });
      const start = await firstMessage(child);
      if (start.kind === 'open' && directory !== '') return new EngineChild(directory, child);
      child.kill('SIGKILL');
      // What the engine says of a directory that another one holds.
      const isLocked = /lock|create connection/i.test(start.message ?? '');
      if (!isLocked || performance.now() > untilMs) return start;
      await sleep(lockedRetryMs);
    }
  }

  /** Whether its process is gone, and every later call fails. */
  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  query(statement: string, format: string): Promise<Uint8Array> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ kind: 'query', id, statement, format });
    });
  }

  /** To be called once by each who has started it. Resolves when the last one has, and the directory is free. */
  async close(): Promise<void> {
    this.#userCount -= 1;
    if (this.#userCount > 0 || this.#ended !== undefined) return;
    EngineChild.#shared.delete(this.#directory);
    const exited = once(this.#child, 'exit');
    this.#send({ kind: 'close' });
    // What it has answered is stored, and outlives a kill.
    const force = setTimeout(() => this.#child.kill('SIGKILL'), closeMsMax);
    await exited;
    clearTimeout(force);
  }

  #send(call: EngineCall): void {
    // What cannot be sent any more is told by the end of the process.
    this.#child.send(call, () => undefined);
  }

  #onAnswer({ id, bytes, error }: EngineAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(bytes ?? new Uint8Array());
    else waiting?.reject(new Error(error));
  }
}

async function firstMessage(child: ChildProcess): Promise<EngineStart> {
  const limit = AbortSignal.timeout(startMsMax);
  const ended = once(child, 'exit', { signal: limit }).then(
    ([code, signal]): EngineStart => ({
      kind: 'refused',
      message: `the engine ended with ${signal ?? code}`,
    }),
  );
  const said = once(child, 'message', { signal: limit }).then(
    ([message]) => message as EngineStart,
  );
  try {
    return await Promise.race([said, ended]);
  } catch {
    // Neither came in time.
    return { kind: 'refused', message: `the engine did not start within ${startMsMax} ms` };
  } finally {
    said.catch(() => undefined);
    ended.catch(() => undefined);
  }
}
