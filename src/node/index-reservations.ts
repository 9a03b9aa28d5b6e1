import type { ClusterTable } from '../coordination/cluster-table.js';

/** Indexes are reserved in the cluster in steps of so many, ahead of those that the node uses. */
const stepCount = 1_000;

/**
 * Says in the cluster which indexes of its chunks a node may have used, so that none is used a second time when its
 * directory is lost. While etcd is away it goes on, and says so later.
 */
export class IndexReservations {
  readonly #nodeName: string;
  readonly #table: ClusterTable;
  readonly #wanted = new Map<string, number>();

  constructor(nodeName: string, table: ClusterTable) {
    this.#nodeName = nodeName;
    this.#table = table;
  }

  /** Indexes below `before` of the category may be used from now on. */
  note(category: string, before: number): void {
    if (before === 0) return;
    const reserved = (Math.floor(before / stepCount) + 2) * stepCount;
    if (reserved > (this.#wanted.get(category) ?? 0)) this.#wanted.set(category, reserved);
  }

  /** Throws `coordination_unavailable`; then it may be called again. */
  async publish(): Promise<void> {
    for (const [category, before] of this.#wanted) {
      if (this.#table.reservedBefore(this.#nodeName, category) < before) {
        await this.#table.reserve(this.#nodeName, category, before);
      }
    }
  }
}
