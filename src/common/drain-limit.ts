import type { Clock, Timer } from './clock.js';

/**
 * Gives what is under way some time after a stop: its signal aborts when that is over. Without a stop there
 * is no hurry.
 */
export class DrainLimit {
  /** Aborts `limitMs` after the stop. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  readonly #start: () => void;
  #timer: Timer | undefined;

  constructor(stop: AbortSignal, limitMs: number, clock: Clock) {
    this.signal = this.#controller.signal;
    this.#stop = stop;
    this.#start = () => {
      this.#timer = clock.after(limitMs, () => this.#controller.abort());
    };
    if (stop.aborted) this.#start();
    else stop.addEventListener('abort', this.#start, { once: true });
  }

  /** To be called when nothing is under way any more; the signal does not abort after that. */
  release(): void {
    this.#stop.removeEventListener('abort', this.#start);
    this.#timer?.cancel();
  }
}
