import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { systemRandom } from '../../common/random.js';
import type { PipelineReporter } from '../../pipeline/pipeline-reporter.js';
import { failureClassOf } from '../../pipeline/pipeline-standing.js';
import { SupervisedTask } from '../../pipeline/supervised-task.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import {
  type FailureClass,
  type PipelineReport,
  toReportText,
} from '../../protocol/pipeline-report.js';
import { createReporter } from './create-reporter.js';
import type { TaskReport } from './monitor/task-report.js';
import type { RunEntry, RunFile, ShipEntry, SinkEntry } from './run-file.js';
import { RunTask } from './run-task.js';

interface Member {
  readonly task: RunTask;
  readonly supervised: SupervisedTask;
  /** Tells nodes how a ship or a sink stands. */
  readonly reporter: PipelineReporter | undefined;
  failureClass: FailureClass;
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
    return [...this.#members.values()].map(describe);
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
        onFailed: (error, delayMs) => {
          member.failureClass = failureClassOf(error);
          this.#log.error('Stopped by a failure; started again after the delay.', {
            kind,
            name,
            error: errorMessage(error),
            delayMs: Math.round(delayMs),
          });
        },
      },
    );
    const member: Member = {
      task,
      supervised,
      reporter: entry.kind === 'node' ? undefined : reporterFor(entry, () => reportNow(member)),
      failureClass: 'transient',
    };
    this.#members.set(key, member);
    member.reporter?.start();
  }

  async #stop(key: string, { task, supervised, reporter }: Member): Promise<void> {
    await reporter?.close();
    await supervised.stop();
    this.#members.delete(key);
    this.#log.info('Stopped.', { kind: task.entry.kind, name: task.entry.name });
  }
}

function describe(member: Member): TaskReport {
  const { task, supervised } = member;
  const { kind, name } = task.entry;
  const pipeline = pipelineOf(member);
  const { bytes = 0, deadLetters = 0, readBytes = 0 } = task.watched?.totals ?? {};
  return {
    kind,
    name,
    ...supervised.status,
    state: pipeline?.state ?? supervised.status.state,
    secondsFailing:
      supervised.status.state === 'running' ? task.watched?.secondsFailing : undefined,
    bytes,
    deadLetters,
    readBytes,
    figures: task.watched?.figures ?? [],
    category: task.entry.kind === 'node' ? undefined : task.entry.settings.category,
    pipeline,
  };
}

async function reportNow(member: Member): Promise<PipelineReport> {
  await member.task.watched?.refresh();
  const report = pipelineOf(member);
  if (report !== undefined) return report;
  throw new TypeError('A node is no pipeline.');
}

/** How a ship or a sink stands: as its engine says while that runs, else as what starts it again says. */
function pipelineOf({ task, supervised, failureClass }: Member): PipelineReport | undefined {
  const { entry, watched } = task;
  if (entry.kind === 'node') return undefined;
  const { state, lastError } = supervised.status;
  const report = watched?.report() ?? unopenedReport(entry);
  if (state === 'running') return report;
  return {
    ...report,
    state: state === 'waiting' ? 'waiting' : 'starting',
    ...(lastError !== undefined && {
      lastError: toReportText(lastError),
      lastErrorClass: failureClass,
    }),
  };
}

/** Of a pipeline whose plugin was never open. */
function unopenedReport(entry: ShipEntry | SinkEntry): PipelineReport {
  const { plugin } = entry.kind === 'ship' ? entry.input : entry.output;
  return {
    host: toReportText(hostname(), 128),
    plugin: toReportText(plugin.descriptor.name, 128),
    group: entry.kind === 'ship' ? null : entry.settings.group,
    state: 'starting',
    bytesPerSecond: null,
    backlogBytes: null,
    secondsLeft: null,
    lastError: null,
    lastErrorClass: null,
    secondsSinceSuccess: null,
    bytes: 0,
    messages: 0,
    retries: 0,
    deadLetters: 0,
    duplicates: 0,
  };
}

function reporterFor(
  { kind, name, settings, credentials }: ShipEntry | SinkEntry,
  report: () => Promise<PipelineReport>,
): PipelineReporter {
  const { category, server } = settings;
  return createReporter({ kind, name, category, server, credentials, report });
}

function keyOf({ kind, name }: RunEntry): string {
  return `${kind}/${name}`;
}
