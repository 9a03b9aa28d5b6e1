import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import { sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';

/**
 * How a task stands:
 *
 *     starting -> running -failed-> waiting -> starting
 *                    |                 |
 *                    +---- stopped ----+
 */
export type TaskState = 'starting' | 'running' | 'waiting' | 'stopped';

/** How a task stands, for people and for figures. */
export interface TaskStatus {
  readonly state: TaskState;
  /** How often it was started again. */
  readonly restarts: number;
  /** What it failed with last; `undefined` when it never did. */
  readonly lastError: string | undefined;
}

export interface SupervisedTaskPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Is told when the task failed and will be started again. */
  readonly onFailed: (error: unknown, delayMs: number) => void;
}

/** What failed is left alone for longer and longer, up to a minute; one that ran for so long begins anew. */
const restartBackoff = { firstDelayMs: 1_000, delayMsMax: 60_000 };
const steadyMs = 60_000;

/**
 * Keeps a task running: starts it again after it has failed or ended by itself, with growing delays. Its failures are its
 * own: nothing else stops.
 *
 * @param run runs until the signal aborts; calls `ready` when it has begun to do its work
 */
export class SupervisedTask {
  readonly #run: (signal: AbortSignal, ready: () => void) => Promise<void>;
  readonly #ports: SupervisedTaskPorts;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #state: TaskState = 'starting';
  #restarts = 0;
  #lastError: string | undefined;

  constructor(
    run: (signal: AbortSignal, ready: () => void) => Promise<void>,
    ports: SupervisedTaskPorts,
  ) {
    this.#run = run;
    this.#ports = ports;
    this.#ended = this.#supervise();
  }

  get status(): TaskStatus {
    return { state: this.#state, restarts: this.#restarts, lastError: this.#lastError };
  }

  /** Notes what failed inside of the task and is tried again there. */
  noteProblem(sentence: string): void {
    this.#lastError = sentence;
  }

  /** Resolves when the task has ended; idempotent. */
  stop(): Promise<void> {
    this.#stop.abort();
    return this.#ended;
  }

  /** Never rejects. */
  async #supervise(): Promise<void> {
    const { clock, random, onFailed } = this.#ports;
    const { signal } = this.#stop;
    let backoff = new Backoff(random, restartBackoff);
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      this.#state = 'starting';
      let failure: unknown = new Error('It ended by itself.');
      try {
        await this.#run(signal, () => {
          this.#state = 'running';
        });
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) break;
      if (clock.monotonicMs() - startMs > steadyMs) backoff = new Backoff(random, restartBackoff);
      this.#state = 'waiting';
      this.#restarts += 1;
      this.#lastError = errorMessage(failure);
      const delayMs = backoff.nextDelayMs();
      onFailed(failure, delayMs);
      await sleep(clock, delayMs, signal).catch(() => undefined);
    }
    this.#state = 'stopped';
  }
}
