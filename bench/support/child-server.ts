import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** `_SC_CLK_TCK` of Linux, in which `/proc` counts processor time. */
const ticksPerSecond = 100;

/** A server in a process of its own, so that its processor time and memory can be told from the load's. */
export class ChildServer {
  readonly url: URL;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: URL) {
    this.#child = child;
    this.url = url;
  }

  /** Starts a Node program and waits for the line on standard error in which it says `url=http://...`. */
  static async start(words: readonly string[]): Promise<ChildServer> {
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    for await (const line of createInterface({ input: child.stderr })) {
      const url = /url=(\S+)/.exec(line)?.[1];
      if (url !== undefined) {
        child.stderr.resume();
        return new ChildServer(child, new URL(url));
      }
    }
    throw new Error(`${words.join(' ')} ended before it said where it listens`);
  }

  /** Processor time that the process has used so far, in seconds. */
  cpuSeconds(): number {
    const words = this.#procFile('stat').split(') ')[1]?.split(' ') ?? [];
    return (Number(words[11]) + Number(words[12])) / ticksPerSecond;
  }

  /** The most memory that the process has held so far, in MiB. */
  memoryPeakMib(): number {
    return Number(/VmHWM:\s+(\d+)/.exec(this.#procFile('status'))?.[1]) / 1024;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await exited;
  }

  #procFile(name: string): string {
    return readFileSync(`/proc/${this.#child.pid}/${name}`, 'utf8');
  }
}
