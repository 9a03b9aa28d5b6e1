import { formatBytes } from '../common/quantity.js';
import { describeFault, type FaultKind } from './fault-plan.js';

/** What the writers of one kind have done. */
export interface KindFigures {
  readonly kind: string;
  readonly batches: number;
  readonly bytes: number;
  /** Batches that were answered with 200. */
  readonly answered: number;
  /** Sendings of a batch after the first one. */
  readonly retries: number;
  /** Repetitions that a node knew and did not store again. */
  readonly knownRepetitions: number;
  /** The longest time from the first sending of a batch to its 200. */
  readonly longestMs: number;
}

/** How often something was found, and the first ones as sentences. */
export interface Finding {
  readonly count: number;
  readonly sentences: readonly string[];
}

/** What came of the security of a cluster that was tortured with it. */
export interface SecurityFigures {
  readonly tokenRotations: number;
  readonly certificateRenewals: number;
  /** Calls without a right to them that a node, or its TLS, has refused, and those that nobody has answered. */
  readonly refusedTrespasses: number;
  readonly unansweredTrespasses: number;
  /** Calls that were answered without a right to them, and withdrawn tokens that stayed valid. */
  readonly letIn: Finding;
  /** New tokens and certificates that a node did not take in. */
  readonly notTaken: Finding;
}

/** What came of a run; `docs/reliability.md` tells how to read it. */
export interface TortureReport {
  /**
   * Whether nothing was lost, corrupt or returned, all that was asked for was answered, nobody was let in who has no right
   * to it, and everything converged.
   */
  readonly passed: boolean;
  readonly seed: number;
  readonly startedAt: string;
  /** For how long things went wrong, and how long the whole run took. */
  readonly tormentedSeconds: number;
  readonly totalSeconds: number;
  readonly versions: { readonly node: string; readonly chukcha: string; readonly etcd: string };
  readonly machine: string;
  readonly nodes: number;
  readonly minSyncReplicas: number;
  readonly smallDisk: string;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly written: readonly KindFigures[];
  readonly lost: Finding;
  readonly corrupt: Finding;
  readonly returned: Finding;
  readonly duplicates: {
    readonly count: number;
    readonly explained: number;
    /** Those that are not explained. */
    readonly sentences: readonly string[];
  };
  /** Answers that no node may give to what was asked. */
  readonly refused: Finding;
  /** Processes that ended although nobody has ended them. */
  readonly endedByThemselves: Finding;
  /** Chunks that a node has moved aside. */
  readonly quarantined: Finding;
  /** What nodes called an error. */
  readonly nodeErrors: Readonly<Record<string, number>>;
  /** `null` for a cluster that asks nobody who he is. */
  readonly security: SecurityFigures | null;
  /** What did not come about when everything was quiet; `null` when everything did. */
  readonly notConverged: string | null;
  readonly longestWithoutWriteMs: number;
  /** Where data and logs were kept; `null` when they were not. */
  readonly directory: string | null;
}

/** The report for people. */
export function formatReport(report: TortureReport): string[] {
  const { versions, duplicates, notConverged, security } = report;
  return [
    `seed ${report.seed}, ${report.nodes} nodes, ${report.tormentedSeconds} s of faults, ${report.totalSeconds} s in all, min_sync_replicas ${report.minSyncReplicas}${security === null ? '' : ', secure'}`,
    `chukcha ${versions.chukcha}, node ${versions.node}, etcd ${versions.etcd}; ${report.machine}; ${report.smallDisk}`,
    '',
    'What was done:',
    ...Object.entries(report.faults).map(
      ([kind, count]) => `  ${String(count).padStart(5)} x ${describeFault(kind as FaultKind)}`,
    ),
    '',
    'What was written:',
    ...report.written.map(formatKind),
    '',
    ...formatFinding('LOST', report.lost, 'batches that were answered with 200 and never read'),
    ...formatFinding('CORRUPT', report.corrupt, 'found in chunks that nobody wrote so'),
    ...formatFinding('RETURNED', report.returned, 'chunks back after their acknowledgement'),
    ...formatFinding(
      'DUPLICATE',
      duplicates,
      `batches read again at another place, ${duplicates.explained} of them explained`,
    ),
    ...formatFinding('REFUSED', report.refused, 'answers that should not have been'),
    ...formatFinding('ENDED', report.endedByThemselves, 'processes that nobody has ended'),
    ...formatFinding('ASIDE', report.quarantined, 'damaged chunks that were moved aside'),
    ...(security === null ? [] : formatSecurity(security)),
    ...Object.entries(report.nodeErrors).map(
      ([sentence, count]) => `  error of a node, ${count} x: ${sentence}`,
    ),
    `Longest time without a write: ${(report.longestWithoutWriteMs / 1_000).toFixed(1)} s`,
    notConverged === null
      ? 'Everything converged: all nodes held the same, all was read and acknowledged, and nothing is left.'
      : `NOT CONVERGED: ${notConverged}`,
    ...(report.directory === null ? [] : [`Data and logs are in ${report.directory}.`]),
    report.passed ? 'PASSED' : 'FAILED',
  ];
}

function formatSecurity(figures: SecurityFigures): string[] {
  const { letIn, notTaken, refusedTrespasses, unansweredTrespasses } = figures;
  return [
    ...formatFinding('LET IN', letIn, 'calls that were answered without a right to them'),
    ...formatFinding(
      'NOT TAKEN',
      notTaken,
      'new tokens and certificates that a node did not take in',
    ),
    `${refusedTrespasses} calls without a right were refused, ${unansweredTrespasses} met no answer; tokens were replaced ` +
      `${figures.tokenRotations} times, certificates ${figures.certificateRenewals} times`,
  ];
}

function formatKind(figures: KindFigures): string {
  const { kind, batches, bytes, answered, retries, knownRepetitions, longestMs } = figures;
  return (
    `  ${kind}: ${batches} batches, ${formatBytes(bytes)}, ${answered} answered, ${retries} sent again, ` +
    `${knownRepetitions} known as repetitions, longest ${(longestMs / 1_000).toFixed(1)} s`
  );
}

function formatFinding(title: string, { count, sentences }: Finding, what: string): string[] {
  return [
    `${title.padEnd(9)} ${String(count).padStart(5)}  ${what}`,
    ...sentences.map((sentence) => `  ${sentence}`),
  ];
}
