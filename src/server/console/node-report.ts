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
  /** Pipelines that run in the node; a node that has none may leave it out. */
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
  readonly coordination: { readonly available: boolean; readonly problem: string | null };
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

/** A name and a state are shown as such; everything else that a pipeline says is shown as it is named. */
export type PipelineReport = Readonly<Record<string, unknown>>;

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
