import { systemClock } from '../common/clock.js';
import { ChangeSignal, sleep } from '../common/wait.js';

/** Bytes that go one way over a link. */
export class Flow {
  readonly #changed = new ChangeSignal();
  #isHeld = false;
  /** By how much each piece is late. */
  delayMs = 0;

  /** Nothing arrives any more, and nobody is told. What is under way comes when it is let go. */
  set isHeld(isHeld: boolean) {
    this.#isHeld = isHeld;
    this.#changed.notify();
  }

  /** Resolves when a piece that has come may go on, or when the signal aborts. */
  async pass(signal: AbortSignal): Promise<void> {
    // The delay is one of a slow link with a small window: the next piece is not on its way before.
    if (this.delayMs > 0) await sleep(systemClock, this.delayMs, signal).catch(() => undefined);
    while (this.#isHeld && !signal.aborted) {
      await this.#changed.wait({ clock: systemClock, signal });
    }
  }
}

/** What lies between who opens connections and who takes them. */
export class Link {
  /** From who has opened the connection. */
  readonly there = new Flow();
  readonly back = new Flow();
  readonly #connections = new Set<AbortController>();
  #isRefused = false;

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Breaks what is connected and refuses everybody, until it is healed. */
  refuse(): void {
    this.#isRefused = true;
    for (const connection of this.#connections) connection.abort();
  }

  heal(): void {
    this.#isRefused = false;
    for (const flow of [this.there, this.back]) {
      flow.isHeld = false;
      flow.delayMs = 0;
    }
  }

  /** Takes note of a connection, which the returned controller ends; to be aborted when it has ended. */
  connect(): AbortController {
    const connection = new AbortController();
    this.#connections.add(connection);
    connection.signal.addEventListener('abort', () => this.#connections.delete(connection), {
      once: true,
    });
    return connection;
  }
}
