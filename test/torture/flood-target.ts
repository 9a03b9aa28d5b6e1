import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { CliNode } from '../support/cli.js';
import { RawConnection } from '../support/raw-connection.js';
import type { ProbeResult } from './probe-worker.js';

/** Memory that changed by less than this for so many looks in a row is steady. */
const steadyMib = 1;
const steadyLookCount = 5;
const lookMs = 200;
const lookCountMax = 50;

/** How long a connection whose client has said all may take to end. */
const exchangeMsMax = 20_000;

/** The node under attack, in a process of its own. */
export class FloodTarget {
  readonly #directory: string;
  #node: CliNode;
  /** What the processes said that have ended. */
  #log = '';

  private constructor(directory: string, node: CliNode) {
    this.#directory = directory;
    this.#node = node;
  }

  static async start(directory: string): Promise<FloodTarget> {
    return new FloodTarget(directory, await CliNode.start(directory));
  }

  get url(): string {
    return this.#node.url;
  }

  async stop(): Promise<void> {
    this.#log += (await this.#node.stop()).stderr;
  }

  /** Stops the node and starts it again at the same address; returns how long each took. */
  async restart(): Promise<{ readonly stopMs: number; readonly startMs: number }> {
    const beginMs = performance.now();
    await this.stop();
    const stoppedMs = performance.now();
    this.#node = await CliNode.start(this.#directory, ['--listen', new URL(this.url).host]);
    return { stopMs: stoppedMs - beginMs, startMs: performance.now() - stoppedMs };
  }

  /** What the node said so far that is a fault of its own; complete after `stop`. */
  faults(): readonly string[] {
    return this.#log.split('\n').filter((line) => / error |^\s+at |uncaught/i.test(line));
  }

  /** Sends bytes, says that there are no more, and tells how the connection ended. */
  async exchange(bytes: string | Buffer): Promise<string> {
    const connection = new RawConnection(this.url);
    connection.send(bytes);
    connection.socket.end();
    return this.endOf(connection, exchangeMsMax);
  }

  /** The status and the code of the last answer, `closed` when there was none, `open` when it does not end in time. */
  async endOf(connection: RawConnection, withinMs: number): Promise<string> {
    const timeout = new AbortController();
    const late = delay(withinMs, 'open', { signal: timeout.signal }).catch(() => 'open');
    const end = await Promise.race([connection.closed, late]);
    timeout.abort();
    connection.socket.destroy();
    const last = (await connection.answersUntilClose()).at(-1);
    if (last === undefined) return end ?? 'closed';
    return `${last.status} ${/"code":"(\w+)"/.exec(last.body)?.[1] ?? ''}`.trim();
  }

  /** Begins to write small batches meanwhile; the function that is returned ends that. */
  startProbe(): () => Promise<ProbeResult> {
    const worker = new Worker(new URL('./probe-worker.js', import.meta.url), {
      workerData: this.url,
    });
    return async () => {
      const result = once(worker, 'message') as Promise<[ProbeResult]>;
      worker.postMessage('stop');
      return (await result)[0];
    };
  }

  /** The memory that the node's process holds when it has come to rest, or after ten seconds (RSS). */
  async steadyMemoryMib(): Promise<number> {
    let lastMib = this.#statusMib('VmRSS');
    let steadyCount = 0;
    for (let look = 0; look < lookCountMax && steadyCount < steadyLookCount; look += 1) {
      await delay(lookMs);
      const mib = this.#statusMib('VmRSS');
      steadyCount = Math.abs(mib - lastMib) < steadyMib ? steadyCount + 1 : 0;
      lastMib = mib;
    }
    return lastMib;
  }

  /** The most memory that the process held since `forgetMemoryPeak`. */
  memoryPeakMib(): number {
    return this.#statusMib('VmHWM');
  }

  forgetMemoryPeak(): void {
    // 5 is what resets the peak (proc(5)).
    writeFileSync(`/proc/${this.#node.pid}/clear_refs`, '5');
  }

  #statusMib(field: string): number {
    const status = readFileSync(`/proc/${this.#node.pid}/status`, 'utf8');
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  }
}
