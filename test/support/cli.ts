import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The command line as built. */
const cliPath = 'bin/run.js';

export interface CliResult {
  /** The exit code, or the name of the signal that ended the process. */
  readonly exit: number | string | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: Buffer | string;
  /** A file that is piped into standard input. */
  readonly inputFile?: string;
  /** A file that standard output goes into. */
  readonly outputFile?: string;
  /** `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

type CliChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** A run of the command line that is under way. */
export interface CliRun {
  readonly child: CliChild;
  readonly result: Promise<CliResult>;
}

/** Starts the built command line. */
export function startCli(words: readonly string[], options: CliOptions = {}): CliRun {
  const child = spawn(process.execPath, [cliPath, ...words], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A test must not depend on how full the disk of the machine is.
    env: { ...process.env, CHUKCHA_DISK_RESERVE: '0', ...options.env },
  });
  // A command may end before it has read all of its input; that is no fault of the test.
  child.stdin.on('error', () => undefined);
  if (options.inputFile === undefined) child.stdin.end(options.input);
  else pipeline(createReadStream(options.inputFile), child.stdin).catch(() => undefined);
  return { child, result: collect(child, options) };
}

/** Runs the built command line to its end. */
export function runCli(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(words, options).result;
}

async function collect(child: CliChild, { outputFile }: CliOptions): Promise<CliResult> {
  const pieces: Buffer[] = [];
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  const exited = once(child, 'close');
  if (outputFile === undefined) child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  else await pipeline(child.stdout, createWriteStream(outputFile));
  const [code, signal] = (await exited) as [number | null, string | null];
  return { exit: code ?? signal, stdout: Buffer.concat(pieces), stderr };
}

/** A node in a process of its own. */
export class CliNode {
  readonly url: string;
  readonly #run: CliRun;

  private constructor(run: CliRun, url: string) {
    this.#run = run;
    this.url = url;
  }

  /** Starts `serve` and waits until it says that it is ready. */
  static async start(dataDirectory: string, words: readonly string[] = []): Promise<CliNode> {
    const listen = words.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const run = startCli([
      'serve',
      '--data',
      dataDirectory,
      ...(words.includes('--name') ? [] : ['--name', 'node1']),
      ...listen,
      ...words,
    ]);
    const ready = await Promise.race([readUrl(run.child.stderr), run.result]);
    if (typeof ready === 'string') return new CliNode(run, ready);
    throw new Error(`serve ended with ${ready.exit}: ${ready.stderr}`);
  }

  get port(): string {
    return new URL(this.url).port;
  }

  get pid(): number {
    return this.#run.child.pid ?? 0;
  }

  /** Ends the node as its owner would, and returns what it said. */
  async stop(): Promise<CliResult> {
    this.#run.child.kill('SIGTERM');
    return this.#run.result;
  }

  /** Ends the node as a crash would. */
  async kill(): Promise<void> {
    this.#run.child.kill('SIGKILL');
    await this.#run.result;
  }
}

/** The address in the first line that names one. */
export async function readUrl(stderr: Readable): Promise<string> {
  const lines = createInterface({ input: stderr, terminal: false });
  return new Promise((resolve) => {
    lines.on('line', (line) => {
      const url = / url=(\S+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}
