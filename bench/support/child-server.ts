import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf, memoryMibOf } from './proc-figures.js';

/** How long a server may take to end; longer than a node waits for the requests under way. */
const stopMsMax = 20_000;

/** Memory that changed by less than this for so many looks in a row is steady. */
const steadyMib = 0.5;
const steadyLookCount = 5;
const lookMs = 200;
const lookCountMax = 50;

/** A server in a process of its own, so that its processor time and memory can be told from the load's. */
export class ChildServer {
  readonly url: URL;
  readonly #child: ChildProcess;
  #isShared = false;

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

  /**
   * Processor time that the process has used so far, in seconds. What the kernel does for it elsewhere, such
   * as writing dirty pages to the disk, is not in it.
   */
  cpuSeconds(): number {
    return cpuSecondsOf(this.#pid);
  }

  /** The memory that the process holds now (RSS), in MiB. */
  memoryMib(): number {
    return memoryMibOf(this.#pid, 'VmRSS');
  }

  /** The most memory that the process has held so far, in MiB. */
  memoryPeakMib(): number {
    return memoryMibOf(this.#pid, 'VmHWM');
  }

  /** The memory that the process holds when it has come to rest, or after ten seconds. */
  async steadyMemoryMib(): Promise<number> {
    let lastMib = this.memoryMib();
    let steadyCount = 0;
    for (let look = 0; look < lookCountMax && steadyCount < steadyLookCount; look += 1) {
      await sleep(lookMs);
      const mib = this.memoryMib();
      steadyCount = Math.abs(mib - lastMib) < steadyMib ? steadyCount + 1 : 0;
      lastMib = mib;
    }
    return lastMib;
  }

  /** The same server for one of several who use it: their `stop` leaves it running. */
  share(): ChildServer {
    const shared = new ChildServer(this.#child, this.url);
    shared.#isShared = true;
    return shared;
  }

  /** Lets the server end, and ends it after twenty seconds. */
  async stop(): Promise<void> {
    if (this.#isShared) return;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), stopMsMax);
    await exited;
    clearTimeout(force);
  }

  get #pid(): number {
    return this.#child.pid ?? 0;
  }
}
