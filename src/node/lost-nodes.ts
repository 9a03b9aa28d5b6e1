import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { ClusterTable, FinalChunk, Member } from '../coordination/cluster-table.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { checkChunkName, parseChunkName } from '../protocol/names.js';
import type { Replication } from '../replication/replication.js';
import type { Category } from '../storage/category.js';
import type { Store } from '../storage/store.js';

export interface LostNodesPorts {
  readonly nodeName: string;
  readonly nodeLostAfterMs: number;
  readonly table: ClusterTable;
  readonly store: Store;
  readonly replication: Replication;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long peers that are away are waited for before a lost node's chunk is finished without them. */
const gatherMsMax = 10_000;

/**
 * Gives up nodes that nobody has heard of for long, and finishes the chunks of those that were given up: each is
 * sealed at the longest copy, which is decided once for all by the first that says so. Nothing is decided while etcd
 * cannot be reached, and nothing because a lease has expired.
 */
export class LostNodes {
  readonly #ports: LostNodesPorts;
  readonly #startMs: number;
  /** Since when a node is known to be given up. */
  readonly #givenUpMs = new Map<string, number>();
  readonly #suspected = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(ports: LostNodesPorts) {
    this.#ports = ports;
    this.#startMs = ports.clock.monotonicMs();
  }

  /** To be called from time to time; does nothing while an earlier call is at work. */
  tick(): void {
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        this.#ports.log.warn('Lost nodes could not be looked after; it is tried again.', {
          error: errorMessage(error),
        });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when nothing is at work. */
  async close(): Promise<void> {
    await this.#running;
  }

  /** Makes this node's own chunks what the others have decided while it was lost. */
  async acceptFinals(): Promise<void> {
    const { table, nodeName } = this.#ports;
    for (const final of table.finals) {
      if (parseChunkName(final.chunk)?.owner === nodeName) await this.#apply(final);
    }
  }

  async #run(): Promise<void> {
    const { table } = this.#ports;
    const { isAvailable, isCurrent } = table.coordinator.status;
    if (isAvailable && isCurrent) await this.#suspect();
    await this.#finish(isAvailable && isCurrent);
  }

  /** Says which members this node has not heard of for long, and gives up those that most have not. */
  async #suspect(): Promise<void> {
    const { table, replication, nodeName, nodeLostAfterMs, clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const active = table.members.filter(isActive);
    for (const { name, heardAtMs } of replication.peers()) {
      const isSilent = nowMs - (heardAtMs ?? this.#startMs) > nodeLostAfterMs;
      if (isSilent !== this.#suspected.has(name)) {
        if (isSilent) await table.suspect(name, nodeName);
        else await table.unsuspect(name, nodeName);
        if (isSilent) this.#suspected.add(name);
        else this.#suspected.delete(name);
      }
      const others = active.filter((member) => member.name !== name);
      const suspecting = table.suspectedBy(name).filter((by) => others.some((m) => m.name === by));
      if (suspecting.length * 2 > others.length) await this.#giveUp(name);
    }
  }

  async #giveUp(name: string): Promise<void> {
    const { table, log } = this.#ports;
    let isNew = false;
    await table.changeMember(name, (before) => {
      if (before === undefined || !isActive(before)) return before as Member;
      isNew = true;
      return { ...before, state: 'lost', epoch: before.epoch + 1 };
    });
    if (!isNew) return;
    log.error('A node was given up: most others have not heard of it for long.', { node: name });
    for (const by of table.suspectedBy(name)) await table.unsuspect(name, by);
  }

  async #finish(canDecide: boolean): Promise<void> {
    const { table, store } = this.#ports;
    const nowMs = this.#ports.clock.monotonicMs();
    const finals = new Map(
      table.finals.map((final) => [`${final.category}/${final.chunk}`, final]),
    );
    const givenUp = new Set<string>();
    for (const { name, state } of table.members) {
      if (state === 'active' || state === 'draining') this.#givenUpMs.delete(name);
      else givenUp.add(name);
    }
    for (const name of givenUp) {
      if (!this.#givenUpMs.has(name)) this.#givenUpMs.set(name, nowMs);
    }
    for (const category of store.openCategories) {
      for (const { owner, name: chunk } of category.copies) {
        const final = finals.get(`${category.name}/${chunk}`);
        if (final !== undefined) await this.#apply(final);
        else if (canDecide && givenUp.has(owner)) await this.#decide(category, owner, chunk, nowMs);
      }
    }
  }

  /** Says how long the chunk is for good, if this node has the longest copy that can be found. */
  async #decide(
    category: Category,
    owner: string,
    chunkName: string,
    nowMs: number,
  ): Promise<void> {
    const { table, replication, clock, log } = this.#ports;
    const waitedMs = nowMs - (this.#givenUpMs.get(owner) ?? nowMs);
    const isHeard = replication.peers().every(({ name }) => replication.isHeard(name));
    if (!isHeard && waitedMs < gatherMsMax) return;
    const size = category.view.chunk(chunkName)?.size ?? 0;
    const crc = category.crcOfCopy(chunkName);
    const longest = replication
      .holders(category.name, chunkName)
      .reduce((best, holder) => Math.max(best, holder.size), 0);
    if (crc === undefined || size === 0 || longest > size) return;
    const final = await table.finish({
      category: category.name,
      chunk: chunkName,
      size,
      crc,
      sealedAtMs: clock.wallMs(),
    });
    log.warn('Finished a chunk of a node that was given up.', {
      category: category.name,
      chunk: chunkName,
      size: final.size,
    });
    await this.#apply(final);
  }

  async #apply({ category: categoryName, chunk, ...seal }: FinalChunk): Promise<void> {
    const category = this.#ports.store.openCategory(categoryName);
    if (category?.view.chunk(chunk) === undefined) return;
    await category.sealCopy(checkChunkName(chunk), seal);
  }
}

function isActive({ state }: Member): boolean {
  return state === 'active' || state === 'draining';
}
