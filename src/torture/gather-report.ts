import { describeMachine } from '../processes/describe-machine.js';
import type { BatchLedger, Findings } from './batch-ledger.js';
import type { BatchWriter } from './batch-writer.js';
import type { Cluster } from './cluster.js';
import type { Trespasser } from './secure/trespasser.js';
import type { Finding, KindFigures, SecurityFigures, TortureReport } from './torture-report.js';

/** Who took part in a run, and what only the run itself knows. */
export interface ReportParts
  extends Pick<
    TortureReport,
    'startedAt' | 'tormentedSeconds' | 'notConverged' | 'faults' | 'quarantined'
  > {
  readonly options: {
    readonly seed: number;
    readonly nodeCount: number;
    readonly minSyncReplicas: number;
  };
  readonly cluster: Cluster;
  readonly ledger: BatchLedger;
  readonly writers: readonly BatchWriter[];
  /** Of a secure cluster. */
  readonly trespasser: Trespasser | undefined;
  readonly totalMs: number;
  /** Of chukcha. */
  readonly version: string;
}

/** Asks all of them what came of the run. */
export function gatherReport(parts: ReportParts): TortureReport {
  const { startedAt, tormentedSeconds, notConverged, faults, quarantined } = parts;
  const { cluster, ledger, writers, options } = parts;
  const { lost, corrupt, returned, refused, strangeDuplicates } = ledger;
  const { duplicates, explainedDuplicates } = ledger.countReads();
  const ends = cluster.nodes.flatMap((node) => node.unexpectedEnds);
  const security = securityFigures(parts);
  const problemCounts = [lost, corrupt, returned, refused, security?.letIn, security?.notTaken].map(
    (finding) => finding?.count ?? 0,
  );
  const problemCount = ends.length + problemCounts.reduce((sum, count) => sum + count, 0);
  return {
    passed: problemCount === 0 && notConverged === null,
    seed: options.seed,
    startedAt,
    tormentedSeconds,
    totalSeconds: Math.round(parts.totalMs / 1_000),
    versions: { node: process.version, chukcha: parts.version, etcd: cluster.etcd.version },
    machine: describeMachine(),
    nodes: options.nodeCount,
    minSyncReplicas: options.minSyncReplicas,
    smallDisk: cluster.smallDiskSummary,
    faults,
    written: writers.map((writer) => figuresOf(writer, ledger)),
    // A batch that waited when the faults ended was answered since.
    longestWithoutWriteMs: Math.round(Math.max(...writers.map((writer) => writer.longestMs))),
    lost: findingOf(lost),
    corrupt: findingOf(corrupt),
    returned: findingOf(returned),
    duplicates: {
      count: duplicates,
      explained: explainedDuplicates,
      sentences: strangeDuplicates.sentences,
    },
    refused: findingOf(refused),
    endedByThemselves: { count: ends.length, sentences: ends },
    quarantined,
    nodeErrors: nodeErrors(cluster),
    security,
    notConverged,
    directory: null,
  };
}

function securityFigures({ cluster, trespasser }: ReportParts): SecurityFigures | null {
  const { security } = cluster;
  if (security === undefined || trespasser === undefined) return null;
  return {
    tokenRotations: security.tokenRotationCount,
    certificateRenewals: security.certificateRenewalCount,
    refusedTrespasses: trespasser.refusedCount,
    unansweredTrespasses: trespasser.unansweredCount,
    letIn: findingOf(security.letIn),
    notTaken: findingOf(security.notTaken),
  };
}

function figuresOf(writer: BatchWriter, ledger: BatchLedger): KindFigures {
  const batches = [...ledger.batches].filter(({ kind }) => kind === writer.kind);
  return {
    kind: writer.kind.name,
    batches: batches.length,
    bytes: batches.reduce((sum, { byteCount }) => sum + byteCount, 0),
    answered: batches.filter(({ isAnswered }) => isAnswered).length,
    retries: writer.retryCount,
    knownRepetitions: writer.duplicateCount,
    longestMs: Math.round(writer.longestMs),
  };
}

function nodeErrors({ nodes }: Cluster): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { errors } of nodes) {
    for (const [sentence, count] of errors) counts[sentence] = (counts[sentence] ?? 0) + count;
  }
  return counts;
}

function findingOf({ count, sentences }: Findings): Finding {
  return { count, sentences };
}
