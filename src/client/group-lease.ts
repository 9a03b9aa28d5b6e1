import type { Clock } from '../common/clock.js';
import { linkSignals } from '../common/link-signals.js';
import { sleep } from '../common/wait.js';
import { errorCode } from '../protocol/chukcha-error.js';
import type { Client } from './client.js';
import type { CallOptions } from './client-calls.js';

export interface GroupLeaseOptions {
  readonly category: string;
  readonly group: string;
  /** Tells this reader from all others: `[A-Za-z0-9_-]{1,128}`. */
  readonly holder: string;
  readonly clock: Clock;
  /** Called when another reader is found to do the work; once for each that is found. */
  readonly onStandby: (holder: string) => void;
}

/** How long a lease holds without another word: a reader that was killed is followed after so long. */
const groupLeaseMs = 15_000;

/** How often it is renewed, so that one lost answer or a node that starts again costs nothing. */
const renewMs = 3_000;

/** How long a node may take to answer. */
const answerMsMax = 2_000;

/** How often one that stands by asks again. */
const standbyMs = 2_000;

/**
 * Keeps two readers of a group from doing the same work, as long as they reach a node in common: one works, the others
 * stand by. The lease is held at every node of the client that answers. Where none answers, work goes on or begins, because
 * a reader that waits for nothing is worse than a message that comes twice.
 *
 *     standing by --free, everywhere that answers--> working --another one holds it--> standing by
 */
export class GroupLease {
  readonly #client: Client;
  readonly #options: GroupLeaseOptions;
  #standbyFor = '';

  constructor(client: Client, options: GroupLeaseOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * Waits for the lease, works, and gives it back. The work's signal aborts with the given one, and when the lease was lost;
   * after that it waits and works again. Resolves with what the work ended with by itself, and with `undefined` when
   * the signal came while it stood by. Throws what the work throws.
   */
  async hold<T>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    for (;;) {
      if (!(await this.#acquire(signal))) return undefined;
      // Whoever is found next is told anew.
      this.#standbyFor = '';
      const lost = new AbortController();
      const end = new AbortController();
      const renewing = this.#renew(lost, end.signal);
      const working = linkSignals(signal, lost.signal);
      try {
        const result = await work(working.signal);
        if (signal.aborted || !lost.signal.aborted) return result;
      } finally {
        working.release();
        end.abort();
        await renewing;
        if (!lost.signal.aborted) await this.#release();
      }
    }
  }

  /** False when the signal came first. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, holder, onStandby } = this.#options;
    let freeFromMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      // A node that has started again knows of no lease: whoever was seen to hold it gets the time to come back.
      const other =
        clock.monotonicMs() < freeFromMs ? await this.#find(signal) : await this.#take(signal);
      if (other === undefined && clock.monotonicMs() >= freeFromMs) return !signal.aborted;
      if (other !== undefined && other !== holder) {
        freeFromMs = clock.monotonicMs() + groupLeaseMs;
        if (this.#standbyFor !== other) onStandby(other);
        this.#standbyFor = other;
      }
      await sleep(clock, standbyMs, signal).catch(() => undefined);
    }
    return false;
  }

  /** Never rejects. */
  async #renew(lost: AbortController, end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      await sleep(this.#options.clock, renewMs, end).catch(() => undefined);
      if (end.aborted) return;
      if ((await this.#take(end)) !== undefined && !end.aborted) {
        lost.abort();
        return;
      }
    }
  }

  /** Takes the lease at all nodes; resolves with who else holds it at one of them, and then gives the others back. */
  async #take(signal: AbortSignal): Promise<string | undefined> {
    const { category, group, holder } = this.#options;
    const lease = { holder, ttlMs: groupLeaseMs };
    const other = await this.#ask(signal, (options) =>
      this.#client.takeLease(category, group, lease, options),
    );
    if (other !== undefined) await this.#release();
    return other;
  }

  #find(signal: AbortSignal): Promise<string | undefined> {
    const { category, group } = this.#options;
    return this.#ask(signal, (options) => this.#client.findLease(category, group, options));
  }

  /**
   * Who else holds the lease at one of the nodes that answer. They are asked one after the other, in the same order by all
   * readers, so that of two that begin at once one has it everywhere.
   */
  async #ask(
    signal: AbortSignal,
    call: (options: CallOptions) => Promise<{ readonly holder: string | null }>,
  ): Promise<string | undefined> {
    for (const server of [...this.#client.servers].sort()) {
      const end = linkSignals(signal, soon());
      const answer = await call({ server, signal: end.signal })
        .catch(ignoreUnlessMisuse)
        .finally(end.release);
      const holder = answer?.holder ?? this.#options.holder;
      if (holder !== this.#options.holder) return holder;
    }
    return undefined;
  }

  async #release(): Promise<void> {
    const { category, group, holder } = this.#options;
    const releases = this.#client.servers.map((server) =>
      // It expires by itself.
      this.#client
        .releaseLease(category, group, holder, { server, signal: soon() })
        .catch(() => undefined),
    );
    await Promise.all(releases);
  }
}

/** Aborts when a node takes too long for so little. */
function soon(): AbortSignal {
  return AbortSignal.timeout(answerMsMax);
}

/** A node that does not answer, or is of an earlier version and knows no leases, has no say. */
function ignoreUnlessMisuse(error: unknown): undefined {
  if (errorCode(error) === 'invalid_name') throw error;
}
