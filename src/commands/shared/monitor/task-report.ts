import type { PluginFigure } from '../../../plugin-host/metrics-book.js';
import type { PipelineReport } from '../../../protocol/pipeline-report.js';

/** A node, a ship or a sink of a process, and how it stands. */
export interface TaskReport {
  readonly kind: 'node' | 'ship' | 'sink';
  readonly name: string;
  /** That of the pipeline while it runs; else `starting`, `waiting` for its next start, or `stopped`. */
  readonly state: string;
  /** How often it was started again. */
  readonly restarts: number;
  /** What it failed with last; `undefined` when it never did. */
  readonly lastError: string | undefined;
  /** How long what it does has failed with no success in between; `undefined` when it does not fail now. */
  readonly secondsFailing: number | undefined;
  /** Bytes that were accepted by the bus, or delivered, since the last start. */
  readonly bytes: number;
  readonly deadLetters: number;
  /** Of a ship what was read, in bytes. */
  readonly readBytes: number;
  /** What the plugin counts. */
  readonly figures: readonly PluginFigure[];
  /** `undefined` for a node. */
  readonly category: string | undefined;
  readonly pipeline: PipelineReport | undefined;
}

/**
 * What may pass by itself has passed by then as a rule: a node that is started again is back within some seconds. What fails
 * for longer is not done, whatever the reason.
 */
const retryingSecondsMax = 60;

/** Why a process does not do its work, a sentence for each task that does not; none when all of it is done. */
export function reasonsAgainst(tasks: readonly TaskReport[]): string[] {
  if (tasks.length === 0) return ['Nothing runs yet.'];
  return tasks.flatMap((task) => reasonAgainst(task) ?? []);
}

/** Why a task does not do its work, as a sentence; `undefined` when it does. */
export function reasonAgainst(task: TaskReport): string | undefined {
  const problem = problemOf(task);
  if (problem === undefined) return undefined;
  const { kind, name, lastError } = task;
  const why = lastError === undefined ? '' : `: ${lastError}`;
  return `The ${kind} ${name} ${problem}${why}`.replace(/\.?$/, '.');
}

function problemOf({ state, secondsFailing = 0 }: TaskReport): string | undefined {
  if (['starting', 'waiting', 'stalled', 'stopped'].includes(state)) return `is ${state}`;
  if (state !== 'retrying' || secondsFailing <= retryingSecondsMax) return undefined;
  return `has failed and been tried again for ${Math.floor(secondsFailing)} s`;
}
