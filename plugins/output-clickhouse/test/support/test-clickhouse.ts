import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Loading the engine takes a second, and more on a busy machine. */
const startMsMax = 60_000;

const program = fileURLToPath(new URL('./face-process.js', import.meta.url));

/**
 * Why tests that need an engine are skipped; `false` when it is there. Where `CI` is set it has to be there, so that no run
 * passes without these tests.
 */
export function reasonWithoutEngine(): string | false {
  try {
    const require = createRequire(import.meta.url);
    const library = `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;
    createRequire(require.resolve('chdb')).resolve(`${library}/package.json`);
    return false;
  } catch (error) {
    const reason = `chdb cannot be loaded (${(error as Error).message.split('\n')[0]}): run npm install`;
    if (process.env['CI']) throw new Error(reason);
    return reason;
  }
}

/** A real engine of ClickHouse behind HTTP, in a process and a directory of its own. */
export class TestClickHouse {
  readonly #directory: string;
  #child: ChildProcess;
  #port: number;

  private constructor(directory: string, child: ChildProcess, port: number) {
    this.#directory = directory;
    this.#child = child;
    this.#port = port;
  }

  static async start(): Promise<TestClickHouse> {
    const directory = await mkdtemp(join(tmpdir(), 'chukcha-clickhouse-'));
    return new TestClickHouse(directory, ...(await startFace(directory, 0)));
  }

  get port(): number {
    return this.#port;
  }

  /** Asks it past the plugin; the answer as text without the last newline. */
  async ask(statement: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.#port}/`, {
      method: 'POST',
      body: statement,
      headers: { 'accept-encoding': 'identity', ...this.#credentials },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text.replace(/\n$/, '');
  }

  /** From now on it takes only this password. */
  async setPassword(password: string): Promise<void> {
    this.#child.send({ password });
    await once(this.#child, 'message');
    this.#credentials = { 'x-clickhouse-user': 'default', 'x-clickhouse-key': password };
  }
  #credentials: Record<string, string> = {};

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  /** Starts it on the same port and data. */
  async restart(): Promise<void> {
    [this.#child, this.#port] = await startFace(this.#directory, this.#port);
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function startFace(directory: string, port: number): Promise<[ChildProcess, number]> {
  const child = spawn(process.execPath, [program, directory, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const signal = AbortSignal.timeout(startMsMax);
  const [line] = (await Promise.race([
    once(lines, 'line', { signal }),
    once(child, 'exit', { signal }).then(() => ['ended']),
  ])) as [string];
  if (line === 'ended') throw new Error('The engine ended before it was ready.');
  return [child, Number(line)];
}
