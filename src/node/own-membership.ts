import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { ChangeSignal } from '../common/wait.js';
import type { ClusterTable, Member } from '../coordination/cluster-table.js';
import { ChukchaError, errorCode, errorMessage } from '../protocol/chukcha-error.js';
import type { ReplicaHello } from '../protocol/replication.js';
import type { Membership, Peer } from '../replication/membership.js';
import { drainingError } from '../storage/category-writer.js';
import { announceMember } from './enter-cluster.js';
import type { Identity } from './identity.js';

export interface OwnMembershipPorts {
  readonly identity: Identity;
  readonly table: ClusterTable;
  readonly clock: Clock;
  readonly log: Logger;
  /** What tells this process from others under the same name: host and directory. */
  readonly place: string;
  /** Tells this start of the node from others. */
  readonly boot: string;
  /** Makes the node's chunks what was decided while it was lost; before it is a member again. */
  readonly acceptFinals: () => Promise<void>;
  /** Called when the cluster says for the first time that the node is to take no more writes. */
  readonly onDraining: () => void;
}

/** How long another process under the same name is waited for: longer than its sign stays after it has died. */
const otherProcessMsMax = 12_000;

/** How often it is looked for. */
const otherProcessPollMs = 500;

/** What a node is in its cluster, and whom it has as peers: as the table of the cluster says it. */
export class OwnMembership implements Membership {
  readonly changed = new ChangeSignal();
  readonly #ports: OwnMembershipPorts;
  #url = '';
  #state: Member['state'] = 'active';
  #epoch = 0;

  constructor(ports: OwnMembershipPorts) {
    this.#ports = ports;
  }

  /**
   * Takes the node's place in the cluster. Throws `membership_refused` when another process runs under the same name,
   * or the cluster does not take the node.
   *
   * @param url where others reach the node
   */
  async enter(url: string): Promise<void> {
    this.#url = url;
    if (this.#ports.table.coordinator.status.isCurrent) await this.#takePlace();
    this.note();
  }

  /** Takes over what the cluster says of this node, and tells who waits for `changed`. */
  note(): void {
    const { table, identity, log, onDraining } = this.#ports;
    const member = table.member(identity.nodeName);
    if (member !== undefined) {
      const before = this.#state;
      this.#epoch = member.epoch;
      this.#state = member.state === 'replaceable' ? 'removed' : member.state;
      if (before !== this.#state) {
        log.warn('The cluster says something else of this node now.', { state: member.state });
        if (this.#state === 'draining') onDraining();
      }
    }
    this.changed.notify();
  }

  /** Says again what the cluster should know of this node, when it says something else. */
  async keep(): Promise<void> {
    const { table, identity, place, boot, acceptFinals } = this.#ports;
    const { nodeName } = identity;
    const member = table.member(nodeName);
    if (member?.state === 'lost') await acceptFinals();
    const isRightful = member === undefined || member.directory === identity.directoryId;
    if (isRightful && (member?.state === 'lost' || member?.url !== this.#url)) {
      await announceMember(table, identity, this.#url);
    }
    if (!table.isAlive(nodeName)) await table.holdAlive(nodeName, boot, place);
  }

  get hello(): ReplicaHello {
    const { clusterId, nodeName, directoryId } = this.#ports.identity;
    const { boot } = this.#ports;
    return {
      cluster: clusterId,
      node: nodeName,
      directory: directoryId,
      boot,
      epoch: this.#epoch,
    };
  }

  get peers(): readonly Peer[] {
    const { table, identity } = this.#ports;
    return table.members.filter(
      ({ name, state }) =>
        name !== identity.nodeName && (state === 'active' || state === 'draining'),
    );
  }

  check({ cluster, node, directory, epoch }: ReplicaHello): void {
    const { table, identity } = this.#ports;
    const member = table.member(node);
    const reason =
      cluster !== identity.clusterId
        ? `it belongs to the cluster ${cluster.slice(0, 40)}, and this node to ${identity.clusterId}`
        : member === undefined
          ? 'this node does not know it'
          : member.directory !== directory.slice(0, 64)
            ? 'the cluster knows it with another directory'
            : epoch < member.epoch || !['active', 'draining'].includes(member.state)
              ? `it is ${member.state} in the cluster (epoch ${member.epoch}, not ${epoch})`
              : undefined;
    if (reason === undefined) return;
    throw new ChukchaError(
      'membership_refused',
      `Node ${node} is not taken as a peer of ${identity.nodeName}: ${reason}.`,
    );
  }

  get isDraining(): boolean {
    return this.#state === 'draining';
  }

  /** Why the node may take no writes as a member; `undefined` when it may. */
  get refusal(): ChukchaError | undefined {
    if (this.#state === 'active') return undefined;
    if (this.#state === 'draining') return drainingError();
    return new ChukchaError(
      'membership_refused',
      `Node ${this.#ports.identity.nodeName} is ${this.#state} in its cluster and takes no writes: write to another node; nothing was stored.`,
    );
  }

  /** For a member that waits while etcd has gone since it was asked first, nothing is wrong. */
  async #takePlace(): Promise<void> {
    const { table, identity, acceptFinals, log } = this.#ports;
    try {
      await this.#takeName();
      // What was decided while it was lost comes first: nobody may get what it has beyond as a part of the chunk.
      await acceptFinals();
      await announceMember(table, identity, this.#url);
    } catch (error) {
      const isMember = table.member(identity.nodeName)?.directory === identity.directoryId;
      if (errorCode(error) !== 'coordination_unavailable' || !isMember) throw error;
      log.warn('etcd went away while the node started: its place in the cluster is taken later.', {
        error: errorMessage(error),
      });
    }
  }

  async #takeName(): Promise<void> {
    const { table, identity, clock, place, boot } = this.#ports;
    const { nodeName } = identity;
    const deadlineMs = clock.monotonicMs() + otherProcessMsMax;
    while (!(await table.holdAlive(nodeName, boot, place))) {
      const timeoutMs = deadlineMs - clock.monotonicMs();
      if (timeoutMs <= 0) {
        throw new ChukchaError(
          'membership_refused',
          `Another process runs as node ${nodeName} of the cluster, with a copy of this directory: stop one of them.`,
        );
      }
      await table.coordinator.changed.wait({
        clock,
        timeoutMs: Math.min(timeoutMs, otherProcessPollMs),
      });
    }
  }
}
