import { systemClock } from '../common/clock.js';
import { formatBytes } from '../common/quantity.js';
import { describeMachine } from '../processes/describe-machine.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { BenchOptions } from './bench-options.js';
import type { BenchReport, CheckFigures } from './bench-report.js';
import { describeLoadRate } from './load-rate.js';
import type { LoadRun } from './load-run.js';
import { LoadTarget } from './load-target.js';
import { type PhasesOutcome, PhasesRun } from './run-phases.js';
import { runSoak, type SoakOutcome } from './run-soak.js';

/**
 * Loads a node of its own, or nodes that run already, and tells what came of it. The signal ends it early, with a report
 * of what was done by then.
 *
 * Throws `invalid_option` for options that the nodes do not allow, and what a node answers that no try will change.
 */
export async function runBench(options: BenchOptions, signal: AbortSignal): Promise<BenchReport> {
  const startMs = systemClock.monotonicMs();
  const startedAt = new Date().toISOString();
  const tell = (sentence: string): void => {
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    options.tell(`${seconds.toFixed(1).padStart(7)} s  ${sentence}`);
  };
  const timed = { ...options, tell };
  if (options.target.server === undefined) tell('a node starts');
  const target = await LoadTarget.open(options.target);
  let outcome: Outcome | undefined;
  let left: string[] = [];
  try {
    checkBatch(options, target);
    tell(`category ${target.facts.category} of ${target.facts.servers.join(', ')}`);
    await target.begin();
    outcome = await runOn(target, timed, AbortSignal.any([signal, target.ended]));
  } catch (error) {
    const [problem] = target.nodeProblems;
    if (problem === undefined) throw error;
    throw new Error(`${errorMessage(error)} ${problem}`, { cause: error });
  } finally {
    left = await target.close();
    // There is no report that tells it.
    if (outcome === undefined) for (const sentence of left) options.tell(sentence);
  }
  const check = checkFigures(outcome.checkedRuns);
  const problems = [
    ...problemsOf(outcome, check),
    ...(signal.aborted ? [] : silentLoads(outcome)),
    ...target.nodeProblems,
  ];
  return {
    kind: options.isSoak ? 'soak' : 'phases',
    passed: problems.length === 0,
    problems,
    startedAt,
    totalSeconds: Math.round((systemClock.monotonicMs() - startMs) / 1_000),
    interrupted: signal.aborted,
    versions: { node: process.version, chukcha: options.version },
    machine: describeMachine(),
    target: target.facts,
    options: reportedOptions(options),
    phases: outcome.phases,
    soak: outcome.soak,
    check,
    left,
  };
}

interface Outcome extends PhasesOutcome {
  readonly soak: SoakOutcome['soak'] | null;
  readonly failure: string | undefined;
}

async function runOn(
  target: LoadTarget,
  options: BenchOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  if (options.isSoak) return { phases: [], ...(await runSoak(options, target, signal)) };
  return { soak: null, failure: undefined, ...(await new PhasesRun(options, target).run(signal)) };
}

function checkBatch({ batchBytes }: BenchOptions, { batchBytesMax }: LoadTarget): void {
  if (batchBytes <= batchBytesMax) return;
  throw new ChukchaError(
    'invalid_option',
    `--batch is ${formatBytes(batchBytes)}, and the node takes batches of at most ${formatBytes(batchBytesMax)}: expected that or less.`,
  );
}

function checkFigures(runs: readonly LoadRun[]): CheckFigures {
  const found = runs.map(({ ledger }) => ledger.findings());
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  return {
    checkedBatches: sum(runs.map(({ meter, layout }) => meter.readBytes / layout.byteCount)),
    lost: sum(found.map(({ lost }) => lost)),
    duplicate: sum(found.map(({ duplicate }) => duplicate)),
    corrupt: sum(runs.map(({ meter }) => meter.corruptCount)),
    sentences: runs.flatMap(({ meter }) => meter.corruptSentences),
  };
}

function problemsOf({ failure }: Outcome, { lost, corrupt }: CheckFigures): string[] {
  return [
    ...(failure === undefined ? [] : [`It could not go on: ${failure}`]),
    ...(lost === 0 ? [] : [`${lost} batches were accepted and never read.`]),
    ...(corrupt === 0 ? [] : [`${corrupt} places were not read as they were written.`]),
  ];
}

function silentLoads({ phases, soak }: Outcome): string[] {
  const silent = phases.filter(({ bytes }) => bytes === 0).map(({ name }) => name);
  return [
    ...silent.map((name) => `Nothing came through in "${name}": see its errors.`),
    ...(soak?.total.bytes === 0 ? ['Nothing was accepted in the soak: see its errors.'] : []),
  ];
}

function reportedOptions(options: BenchOptions): BenchReport['options'] {
  const { seconds, writerCount, batchBytes, lineBytes, sync, minSyncReplicas, rate } = options;
  return {
    seconds,
    writers: writerCount,
    batchBytes,
    lineBytes,
    syncEachWrite: sync,
    minSyncReplicas,
    rate: describeLoadRate(rate),
  };
}
