import { connect, type Socket } from 'node:net';
import { createDeferred } from '../../src/common/deferred.js';
import { ResponseScanner } from './response-scanner.js';

/** The longest run; one that takes longer hangs. */
const runMsMax = 300_000;

/** What arrives is looked at and forgotten, so all connections read into the same buffer. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

export interface HttpLoad {
  readonly connectionCount: number;
  /** How many requests are under way on each connection at once. @default 1 */
  readonly pipelinedCount?: number;
  /** The bytes of the next `count` requests, at most `pipelinedCount`; they must stay as they are. */
  takeRequests(count: number): Buffer;
  /** What the body of every answer must have, in bytes; without it, any length is taken. */
  readonly answerBodyBytes?: number;
}

/** After how many requests, or how many milliseconds, nothing more is sent. */
export type LoadEnd = { readonly requestCount: number } | { readonly durationMs: number };

export interface LoadResult {
  readonly requestCount: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** From handing a request to the socket to the end of its answer, for each request. */
  readonly timesMs: readonly number[];
  /** Processor time that this process used meanwhile. */
  readonly cpuSeconds: number;
}

/**
 * Sends requests over some connections, the next one when one was answered (a closed loop), and waits for
 * the last answer. Throws when an answer is no 200, is not whole, or has another length than it must have.
 *
 * It speaks HTTP by hand: Node's own client would use more processor time than the server under test.
 */
export async function runHttpLoad(url: URL, load: HttpLoad, end: LoadEnd): Promise<LoadResult> {
  const run = new LoadRun(load, end);
  const timeout = setTimeout(() => run.fail(`not all was answered in ${runMsMax} ms`), runMsMax);
  try {
    return await run.toEnd(url);
  } finally {
    clearTimeout(timeout);
    run.close();
  }
}

class LoadRun {
  readonly load: HttpLoad;
  readonly timesMs: number[] = [];
  #requestsLeft: number;
  #deadlineMs = Number.POSITIVE_INFINITY;
  readonly #durationMs: number;
  readonly #connections: LoadConnection[] = [];
  #activeCount = 0;
  readonly #ended = createDeferred<void>();

  constructor(load: HttpLoad, end: LoadEnd) {
    this.load = load;
    this.#requestsLeft = 'requestCount' in end ? end.requestCount : Number.POSITIVE_INFINITY;
    this.#durationMs = 'durationMs' in end ? end.durationMs : Number.POSITIVE_INFINITY;
  }

  async toEnd(url: URL): Promise<LoadResult> {
    for (let index = 0; index < this.load.connectionCount; index += 1) {
      this.#connections.push(new LoadConnection(url, this));
    }
    // What fails while the connections are made fails the run.
    const opened = Promise.all(this.#connections.map((connection) => connection.opened));
    await Promise.race([opened, this.#ended.promise]);
    const cpuBefore = process.cpuUsage();
    const startMs = performance.now();
    this.#deadlineMs = startMs + this.#durationMs;
    this.#activeCount = this.#connections.length;
    for (const connection of this.#connections) connection.start(startMs);
    await this.#ended.promise;
    const seconds = (performance.now() - startMs) / 1_000;
    const cpu = process.cpuUsage(cpuBefore);
    return {
      requestCount: this.timesMs.length,
      seconds,
      timesMs: this.timesMs,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    };
  }

  /** How many of `wanted` requests may still be sent. */
  grant(wanted: number, nowMs: number): number {
    if (nowMs >= this.#deadlineMs) return 0;
    const granted = Math.min(wanted, this.#requestsLeft);
    this.#requestsLeft -= granted;
    return granted;
  }

  connectionEnded(): void {
    this.#activeCount -= 1;
    if (this.#activeCount === 0) this.#ended.resolve();
  }

  fail(reason: string): void {
    this.#ended.reject(new Error(`The load was given up: ${reason}.`));
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

class LoadConnection {
  readonly opened: Promise<void>;
  readonly #run: LoadRun;
  readonly #socket: Socket;
  readonly #scanner: ResponseScanner;
  /** When the requests under way were sent: a ring, the oldest first, as answers come in order. */
  readonly #startsMs: Float64Array;
  #oldest = 0;
  #underWay = 0;

  constructor(url: URL, run: LoadRun) {
    this.#run = run;
    this.#scanner = new ResponseScanner(run.load.answerBodyBytes);
    this.#startsMs = new Float64Array(run.load.pipelinedCount ?? 1);
    const onread = {
      buffer: readBuffer,
      callback: (byteCount: number, bytes: Uint8Array): boolean => {
        this.#onBytes(bytes, byteCount);
        return true;
      },
    };
    const address = { host: url.hostname, port: Number(url.port) };
    this.#socket = connect({ ...address, noDelay: true, onread });
    this.opened = new Promise((resolve) => this.#socket.once('connect', () => resolve()));
    this.#socket.on('error', (error) => run.fail(error.message));
    this.#socket.on('close', () => run.fail('the server closed a connection'));
  }

  start(nowMs: number): void {
    this.#send(this.#startsMs.length, nowMs);
  }

  close(): void {
    this.#socket.destroy();
  }

  #onBytes(bytes: Uint8Array, byteCount: number): void {
    let answerCount = 0;
    try {
      answerCount = this.#scanner.scan(bytes, byteCount);
    } catch (error) {
      this.#run.fail(error instanceof Error ? error.message : String(error));
    }
    if (answerCount === 0) return;
    const nowMs = performance.now();
    for (let index = 0; index < answerCount; index += 1) {
      this.#run.timesMs.push(nowMs - (this.#startsMs[this.#oldest] ?? Number.NaN));
      this.#oldest = (this.#oldest + 1) % this.#startsMs.length;
    }
    this.#underWay -= answerCount;
    this.#send(answerCount, nowMs);
  }

  #send(wanted: number, nowMs: number): void {
    const count = this.#run.grant(wanted, nowMs);
    if (count > 0) {
      for (let index = 0; index < count; index += 1) {
        this.#startsMs[(this.#oldest + this.#underWay + index) % this.#startsMs.length] = nowMs;
      }
      this.#underWay += count;
      this.#socket.write(this.#run.load.takeRequests(count));
    } else if (this.#underWay === 0) {
      this.#run.connectionEnded();
    }
  }
}
