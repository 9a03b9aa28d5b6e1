import { systemClock } from '../../common/clock.js';
import type { SeededRandom } from '../../common/seeded-random.js';
import { sleep } from '../../common/wait.js';
import { errorCode, errorMessage } from '../../protocol/chukcha-error.js';
import type { Findings } from '../batch-ledger.js';
import type { CalledNode } from '../callers.js';
import type { Trespass } from './trespasses.js';

export interface TrespasserOptions {
  readonly nodes: readonly CalledNode[];
  /** Everything that may be tried now. */
  readonly trespasses: () => readonly Trespass[];
  /** Gets what was answered although it had to be refused. */
  readonly letIn: Findings;
  readonly random: SeededRandom;
}

const pauseMs = { min: 50, max: 400 };

/** How a node says that somebody has no right to a call. */
const refusals: ReadonlySet<string> = new Set(['unauthorized', 'forbidden']);

/** How a call ends that nobody has answered. */
const silences: ReadonlySet<string> = new Set(['server_unreachable', 'timeout', 'aborted']);

/** Tries what it may not, again and again, at nodes that are well and at such that are not. */
export class Trespasser {
  /** Attempts that were refused, and those that nobody has answered. */
  refusedCount = 0;
  unansweredCount = 0;
  readonly #options: TrespasserOptions;
  readonly #stop = new AbortController();

  constructor(options: TrespasserOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<void> {
    const { nodes, trespasses, random } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.tryOne(random.pick(trespasses()), random.pick(nodes));
      const restMs = random.integer(pauseMs.min, pauseMs.max);
      await sleep(systemClock, restMs, signal).catch(() => undefined);
    }
  }

  /** Tries something at a node, if that takes calls. */
  async tryOne(
    { summary, stoppedBy, attempt }: Trespass,
    { name, url }: CalledNode,
  ): Promise<void> {
    if (url === undefined) return;
    let how = 'let in.';
    try {
      await attempt(url);
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (stoppedBy === 'token' ? refusals.has(code) : isTlsRefusal(error)) {
        this.refusedCount += 1;
        return;
      }
      if (silences.has(code) || isOfSystem(error)) {
        this.unansweredCount += 1;
        return;
      }
      how = `answered as if it might: ${errorMessage(error)}`;
    }
    this.#options.letIn.add(`At ${name}, ${summary} and was ${how}`);
  }
}

/**
 * An end by an alert of TLS, or without a word: so Node.js ends a connection whose certificate it does not like. A node that
 * was killed just then looks the same.
 */
function isTlsRefusal(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as { readonly code?: string };
  return /^(ERR_SSL_|ECONNRESET$)/.test(code ?? '');
}

/** A connection that was not made, or broke. */
function isOfSystem(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined;
}
