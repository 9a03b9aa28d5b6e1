import type { PipelineStatus } from '../../../protocol/pipeline-report.js';

/** How a cluster and its pipelines stand at a moment, and how fast they move. */
export interface TopView {
  /** ISO 8601 in UTC. */
  readonly at: string;
  readonly nodes: readonly TopNode[];
  readonly groups: readonly TopGroup[];
  readonly tasks: readonly TopTask[];
  /** Ships and sinks that report to the nodes, each once. */
  readonly pipelines: readonly PipelineStatus[];
  /** What is wrong, a sentence each. */
  readonly problems: readonly string[];
}

export interface TopNode {
  /** Its address when it does not answer. */
  readonly name: string;
  readonly state: string;
  readonly version: string | null;
  readonly freeBytes: number | null;
  readonly inFlightBytes: number | null;
  /** Bytes of its own chunks that no other node has; `null` for one that stands alone. */
  readonly hereOnlyBytes: number | null;
}

/** A group of a category; `group` is `null` for a category without any. */
export interface TopGroup {
  readonly category: string;
  readonly group: string | null;
  /** What the category holds. */
  readonly heldBytes: number;
  /** What the nodes take for the category; `null` before the second look. */
  readonly writtenBytesPerSecond: number | null;
  /** What the group has still to acknowledge, on the node that has most of it. */
  readonly backlogBytes: number;
  /** What the group acknowledges; it does so chunk by chunk, so this is nothing for a while and then much. */
  readonly acknowledgedBytesPerSecond: number | null;
  /** Until the backlog is gone, at the pace of the last minute; `null` when it does not shrink. */
  readonly secondsLeft: number | null;
}

/** A task of a process that runs a file of pipelines. */
export interface TopTask {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly bytesPerSecond: number | null;
  readonly restarts: number;
  readonly deadLetters: number;
  readonly lastError: string | null;
}
