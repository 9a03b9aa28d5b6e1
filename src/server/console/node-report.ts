/**
 * What the page reads of `/status`. The names and meanings are those of `NodeStatus`, which the compiler compares in
 * the tests; the browser's modules are compiled apart from the node's, and so cannot import it.
 */
export interface NodeReport {
  readonly node: string;
  readonly cluster: string;
  readonly version: string;
  readonly state: string;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly bytesInFlight: number;
  readonly disk: DiskReport;
  readonly clusterStatus: ClusterReport | null;
  readonly categories: readonly CategoryReport[];
  /** Ships and sinks that report to the node; one of an earlier version leaves it out. */
  readonly pipelines?: readonly PipelineReport[];
}

interface DiskReport {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly reserveBytes: number;
  readonly refusal: string | null;
}

interface ClusterReport {
  readonly name: string;
  readonly coordination: {
    readonly available: boolean;
    readonly problem: string | null;
    /** A node of an earlier version does not say it. */
    readonly answeredSecondsAgo?: number | null;
  };
  readonly bytesHereOnly: number;
  readonly members: readonly MemberReport[];
}

export interface MemberReport {
  readonly name: string;
  readonly url: string;
  readonly state: string;
  readonly drained: boolean;
  readonly self: boolean;
  readonly receiving: boolean;
  readonly sending: boolean;
  readonly behindBytes: number | null;
  readonly heardSecondsAgo: number | null;
  readonly problem: string | null;
}

export interface CategoryReport {
  readonly name: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly writtenBytes: number;
  readonly copiedBytes: number;
  readonly readBytes: number;
  readonly expiredBytes: number;
  readonly hiddenChunks: readonly string[];
  readonly groups: readonly GroupReport[];
}

export interface GroupReport {
  readonly group: string;
  readonly chunks: number;
  readonly bytes: number;
}

export interface PipelineReport {
  readonly name: string;
  readonly kind: string;
  readonly category: string;
  readonly group: string | null;
  readonly host: string;
  readonly plugin: string;
  readonly state: string;
  readonly bytesPerSecond: number | null;
  readonly backlogBytes: number | null;
  readonly secondsLeft: number | null;
  readonly lastError: string | null;
  readonly lastErrorClass: string | null;
  readonly secondsSinceSuccess: number | null;
  readonly bytes: number;
  readonly messages: number;
  readonly retries: number;
  readonly deadLetters: number;
  readonly duplicates: number;
}

/** One chunk of `/listChunks`. */
export interface ChunkReport {
  readonly name: string;
  readonly complete: boolean;
  readonly size: number;
}

/** Whether nothing comes from a member that should be there. */
export function isAway({ self, state, receiving }: MemberReport): boolean {
  return !self && state !== 'lost' && state !== 'replaceable' && !receiving;
}

/** Nodes say once a second that they are there; whole seconds are told. */
const memberSilentSeconds = 2;

/** Whether a member that counts as there has said nothing for longer than it should. */
export function isSilent({ self, heardSecondsAgo, ...member }: MemberReport): boolean {
  return !self && member.receiving && (heardSecondsAgo ?? 0) >= memberSilentSeconds;
}

/** A node asks etcd twice a second, so that a silence of more than this is one of etcd, in seconds. */
const etcdSilentSeconds = 1.2;

/** A silence that may become one: worth to be looked at again soon. */
const etcdSuspectSeconds = 0.6;

/** Whether etcd has not answered the node for longer than it takes by any right. */
export function isEtcdSilent(report: NodeReport): boolean {
  return etcdSilenceSeconds(report) > etcdSilentSeconds;
}

/** Whether etcd may just have fallen silent. */
export function isEtcdSuspect(report: NodeReport): boolean {
  const silence = etcdSilenceSeconds(report);
  return silence > etcdSuspectSeconds && silence <= etcdSilentSeconds;
}

/** 0 for a node that stands alone, and for one that has said already that etcd is away. */
function etcdSilenceSeconds({ clusterStatus }: NodeReport): number {
  if (clusterStatus === null || !clusterStatus.coordination.available) return 0;
  return clusterStatus.coordination.answeredSecondsAgo ?? 0;
}
