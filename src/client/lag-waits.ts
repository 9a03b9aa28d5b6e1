import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Random } from '../common/random.js';
import { sleep } from '../common/wait.js';
import type { ChukchaError } from '../protocol/chukcha-error.js';
import type { Client } from './client.js';
import type { RetryListener } from './decide-retry.js';

export interface LagWaitsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onRetry: RetryListener | undefined;
  readonly giveUpAfterMs: number | undefined;
}

/**
 * When to ask again for what a node does not have yet. A replica that works is behind by less than the first delay;
 * one that has lost its peers is not asked more often than the last one.
 */
const backoff = { firstDelayMs: 200, delayMsMax: 5_000 };

/**
 * How long a node may lack what another one had before the next one is asked, at first and at most. It grows,
 * because what only a dead node had comes with none of the others, and each move breaks what they hold.
 */
const patienceMsMin = 3_000;
const patienceMsMax = 60_000;

/** What is missing of one owner, from the first time that a node did not have it. */
interface Lag {
  readonly sinceMs: number;
  patienceMs: number;
  /** The node that was asked last, when another one is asked, and when it is asked again. */
  server: string;
  moveAtMs: number;
  delays: Backoff;
}

/** Waits, for each owner, for what one node had and another one does not have yet. */
export class LagWaits {
  readonly #client: Client;
  readonly #options: LagWaitsOptions;
  readonly #lags = new Map<string, Lag>();

  constructor(client: Client, options: LagWaitsOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** What was missing of the owner has come, or is not waited for any more. */
  end(owner: string): void {
    this.#lags.delete(owner);
  }

  /**
   * Resolves when it is time to ask again: after a while, or at once when another node was made the current one.
   * Throws the error when the owner has waited for too long.
   */
  async wait(owner: string, server: string, error: ChukchaError): Promise<void> {
    const { clock, signal, onRetry, giveUpAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    const nowMs = clock.monotonicMs();
    const lag = this.#lagOf(owner, server, nowMs);
    const isAlone = this.#client.servers.length === 1;
    const delayMs = lag.delays.nextDelayMs();
    if (nowMs + delayMs - lag.sinceMs > giveUpAfterMs) throw error;
    if (nowMs >= lag.moveAtMs && !isAlone) {
      lag.patienceMs = Math.min(2 * lag.patienceMs, patienceMsMax);
      // The other nodes may all be away, so that it is this one again that is asked.
      lag.moveAtMs = nowMs + lag.patienceMs;
      onRetry?.(error, 0);
      this.#client.moveOn(server, error);
      return;
    }
    // That a replica is behind for a moment is nothing to tell; a lone node should have what it lists.
    if (isAlone) onRetry?.(error, delayMs);
    await sleep(clock, delayMs, signal);
  }

  #lagOf(owner: string, server: string, nowMs: number): Lag {
    const known = this.#lags.get(owner);
    if (known?.server === server) return known;
    const patienceMs = known?.patienceMs ?? patienceMsMin;
    const lag: Lag = {
      sinceMs: known?.sinceMs ?? nowMs,
      patienceMs,
      server,
      moveAtMs: nowMs + patienceMs,
      delays: new Backoff(this.#options.random, backoff),
    };
    this.#lags.set(owner, lag);
    return lag;
  }
}
