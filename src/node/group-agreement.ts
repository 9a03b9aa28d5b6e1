import type { Logger } from '../common/logger.js';
import type { ClusterTable, GroupEntry } from '../coordination/cluster-table.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { GroupRegistration, GroupRemoval, GroupStart } from '../protocol/http-api.js';
import type { Store } from '../storage/store.js';

export interface GroupAgreementPorts {
  readonly table: ClusterTable;
  readonly store: Store;
  readonly log: Logger;
}

/**
 * Keeps the groups of a node and those that the nodes have agreed on in step, both ways: a group that comes into
 * being by its first acknowledgement is there at once, and the others hear of it, with etcd or without.
 */
export class GroupAgreement {
  readonly #ports: GroupAgreementPorts;

  constructor(ports: GroupAgreementPorts) {
    this.#ports = ports;
  }

  /** Throws `coordination_unavailable`, `too_many_categories` or `too_many_groups`; nothing has changed then. */
  async register(category: string, group: string, from: GroupStart): Promise<GroupRegistration> {
    const { store, table } = this.#ports;
    const opened = await store.categoryForClient(category);
    opened.checkRoomForGroup(group);
    const { states } = opened.acks;
    const known = states.generationOf(group);
    const least = states.isRegistered(group) ? known : known + 1;
    const { generation } = await table.addGroup(category, group, least);
    const freed = await opened.registerGroup(group, from, generation);
    return {
      category,
      group,
      from,
      created: freed !== undefined,
      freedChunks: freed?.chunks ?? 0,
      freedBytes: freed?.bytes ?? 0,
    };
  }

  /** Throws `coordination_unavailable`; nothing has changed then. */
  async remove(category: string, group: string): Promise<GroupRemoval> {
    const { store, table } = this.#ports;
    const opened = await store.knownCategory(category);
    const known = opened?.acks.states.generationOf(group) ?? 0;
    const entry = table.groups.find((each) => each.category === category && each.group === group);
    if (known > 0 || entry !== undefined) {
      const { generation } = await table.dropGroup(category, group, known);
      const freed = await opened?.removeGroup(group, generation);
      return {
        category,
        group,
        removed: freed !== undefined || entry?.removed === false,
        freedChunks: freed?.chunks ?? 0,
        freedBytes: freed?.bytes ?? 0,
      };
    }
    return { category, group, removed: false, freedChunks: 0, freedBytes: 0 };
  }

  /** Has the store know what the nodes have agreed on. */
  async takeIn(): Promise<void> {
    for (const entry of this.#ports.table.groups) {
      await this.#takeInOne(entry).catch((error: unknown) => {
        this.#ports.log.warn('A group could not be taken over; it is tried again.', {
          category: entry.category,
          group: entry.group,
          error: errorMessage(error),
        });
      });
    }
  }

  /** Has the others know the groups that are known here. Throws `coordination_unavailable`. */
  async publish(): Promise<void> {
    const { store, table } = this.#ports;
    const agreed = new Map(
      table.groups.map((entry) => [`${entry.category}/${entry.group}`, entry]),
    );
    for (const { name: category, acks } of store.openCategories) {
      for (const group of acks.states.names) {
        const entry = agreed.get(`${category}/${group}`);
        const generation = acks.states.generationOf(group);
        if ((entry?.generation ?? 0) < generation) {
          await table.addGroup(category, group, generation);
        }
      }
    }
  }

  async #takeInOne({ category, group, generation, removed }: GroupEntry): Promise<void> {
    const { store } = this.#ports;
    const known = store.openCategory(category);
    const before = known?.acks.states;
    const isKnown = (before?.generationOf(group) ?? 0) >= generation;
    const isStillThere = removed && before?.isRegistered(group) === true;
    const isOlder = (before?.generationOf(group) ?? 0) > generation;
    if (isOlder || (isKnown && !isStillThere)) return;
    // A group of a category that is not here yet has to be known before its first chunk is.
    const opened = known ?? (await store.category(category));
    await opened.mergeAcks({
      records: {
        groups: { [group]: { generation, ...(removed && { removed }), acked: {} } },
        expired: {},
      },
      sizes: [],
    });
  }
}
