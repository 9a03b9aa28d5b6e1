import type { Clock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import type { EtcdLink } from './etcd-link.js';

/** Twice a second, so that a silence of a second means something; it costs etcd a look into its memory. */
const pulseMs = 500;

/**
 * How long a question may wait for its answer. It is longer than any other call may take, so that a question that is given
 * up, which closes the connection, is never what a slow etcd is left for.
 */
const pulseAnswerMsMax = 10_000;

/**
 * Asks etcd for next to nothing, again and again, so that it is known when it has answered last. A lease is renewed only
 * every few seconds, and a watch may be silent for hours. What fails here changes nothing else.
 */
export class EtcdPulse {
  readonly #link: EtcdLink;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(link: EtcdLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops; the link has to be closed before, which ends what is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(this.#clock, pulseMs, signal).catch(() => undefined);
      // While it is away others look for it.
      if (!signal.aborted && this.#link.problem === undefined) {
        await this.#link.ask(pulseAnswerMsMax);
      }
    }
  }
}
