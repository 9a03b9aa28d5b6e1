import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { systemRandom } from '../../common/random.js';
import { SupervisedTask, type TaskStatus } from '../../pipeline/supervised-task.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import type { RunEntry, RunFile } from './run-file.js';
import { RunTask, type TaskFigures } from './run-task.js';

/** A task of a file, and how it stands. */
export interface TaskReport extends TaskStatus, TaskFigures {
  readonly kind: RunEntry['kind'];
  readonly name: string;
}

interface Member {
  readonly task: RunTask;
  readonly supervised: SupervisedTask;
}

/** Nodes first, because the others need them; they go last. */
const startOrder: readonly RunEntry['kind'][] = ['node', 'ship', 'sink'];

/**
 * The nodes, ships and sinks of a file that run in this process, each by itself. A new form of the file is brought about by
 * stopping what is not in it any more or is in it in another form, at a place where everything under way is acknowledged,
 * and starting the new form; all else runs on.
 */
export class RunSet {
  readonly #stateDirectory: string;
  readonly #log: Logger;
  readonly #members = new Map<string, Member>();
  #applying: Promise<void> = Promise.resolve();

  constructor(stateDirectory: string, log: Logger) {
    this.#stateDirectory = stateDirectory;
    this.#log = log;
  }

  get reports(): TaskReport[] {
    return [...this.#members.values()].map(({ task, supervised }) => ({
      kind: task.entry.kind,
      name: task.entry.name,
      ...supervised.status,
      ...task.figures,
    }));
  }

  /** Has run what the file says. Calls come about one after another. */
  apply({ entries }: Pick<RunFile, 'entries'>): Promise<void> {
    this.#applying = this.#applying.then(() => this.#apply(entries));
    return this.#applying;
  }

  /** Stops everything; idempotent. */
  stop(): Promise<void> {
    return this.apply({ entries: [] });
  }

  async #apply(entries: readonly RunEntry[]): Promise<void> {
    const wanted = new Map(entries.map((entry) => [keyOf(entry), entry]));
    const leaving = [...this.#members].filter(([key, { task }]) => {
      const entry = wanted.get(key);
      return entry === undefined || !isDeepStrictEqual(entry.given, task.entry.given);
    });
    for (const kind of startOrder.toReversed()) {
      const ofKind = leaving.filter(([, { task }]) => task.entry.kind === kind);
      await Promise.all(ofKind.map(([key, member]) => this.#stop(key, member)));
    }
    for (const kind of startOrder) {
      for (const [key, entry] of wanted) {
        if (entry.kind === kind && !this.#members.has(key)) this.#start(key, entry);
      }
    }
  }

  #start(key: string, entry: RunEntry): void {
    const { kind, name } = entry;
    const task = new RunTask(entry, {
      stateDirectory: this.#stateDirectory,
      log: this.#log,
      onProblem: (sentence) => {
        if (supervised.status.lastError === sentence) return;
        supervised.noteProblem(sentence);
        this.#log.warn('Something failed and is tried again.', { kind, name, error: sentence });
      },
    });
    const supervised: SupervisedTask = new SupervisedTask(
      (signal, ready) =>
        task.run(signal, () => {
          ready();
          this.#log.info('Running.', { kind, name });
        }),
      {
        clock: systemClock,
        random: systemRandom,
        onFailed: (error, delayMs) =>
          this.#log.error('Stopped by a failure; started again after the delay.', {
            kind,
            name,
            error: errorMessage(error),
            delayMs: Math.round(delayMs),
          }),
      },
    );
    this.#members.set(key, { task, supervised });
  }

  async #stop(key: string, { task, supervised }: Member): Promise<void> {
    await supervised.stop();
    this.#members.delete(key);
    this.#log.info('Stopped.', { kind: task.entry.kind, name: task.entry.name });
  }
}

function keyOf({ kind, name }: RunEntry): string {
  return `${kind}/${name}`;
}
