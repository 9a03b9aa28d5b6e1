import type { Socket } from 'node:net';
import type { Clock, Timer } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { sleep } from '../common/wait.js';
import type { ClusterTable, Member } from '../coordination/cluster-table.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { streamProtocol } from '../protocol/frames.js';
import type {
  ClusterStatus,
  GroupRegistration,
  GroupRemoval,
  GroupStart,
  MemberStatus,
  NodeChange,
} from '../protocol/http-api.js';
import { checkChunkName } from '../protocol/names.js';
import type { ReplicaHello } from '../protocol/replication.js';
import type { Network } from '../replication/channel.js';
import { acceptedChannel } from '../replication/node-network.js';
import {
  type PeerStatus,
  Replication,
  type ReplicationFigures,
} from '../replication/replication.js';
import type { ClusterPorts, ReplicatedBatch } from '../server/cluster-ports.js';
import { drainingError } from '../storage/category-writer.js';
import type { OpenFiles } from '../storage/open-files.js';
import type { Store } from '../storage/store.js';
import { GroupAgreement } from './group-agreement.js';
import type { Identity } from './identity.js';
import { IndexReservations } from './index-reservations.js';
import { LostNodes } from './lost-nodes.js';
import { changedMember } from './member-changes.js';
import type { ClusterOptions } from './node-options.js';
import { OwnMembership } from './own-membership.js';

export interface ClusterNodePorts {
  readonly identity: Identity;
  readonly table: ClusterTable;
  readonly store: Store;
  readonly files: OpenFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly log: Logger;
  /** What tells this process from others under the same name: host and directory. */
  readonly place: string;
}

/** How often what the nodes have agreed on is looked at, whether it has changed or not. */
const reconcileMs = 1_000;

/** How long a node that stops waits for others to take what only it has. */
const stopMsMax = 5_000;
const stopPollMs = 20;

/** How often a batch that another node has stored is looked for at the others. */
const holderPollMs = 100;

/** A node as a member of its cluster: keeps it in step with the others, and with what they have agreed on. */
export class ClusterNode implements ClusterPorts {
  readonly #options: ClusterOptions;
  readonly #ports: ClusterNodePorts;
  readonly #membership: OwnMembership;
  readonly #replication: Replication;
  readonly #groups: GroupAgreement;
  readonly #reservations: IndexReservations;
  readonly #lost: LostNodes;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #reconciling: Promise<void> | undefined;
  #isStopping = false;

  constructor(options: ClusterOptions, ports: ClusterNodePorts) {
    const { identity, table, store, files, clock, random, log, place } = ports;
    const { nodeName } = identity;
    this.#options = options;
    this.#ports = ports;
    this.#membership = new OwnMembership({
      ...{ identity, table, clock, log, place, boot: random.hex(8) },
      acceptFinals: () => this.#lost.acceptFinals(),
      onDraining: () => {
        for (const category of store.openCategories) void category.seal();
      },
    });
    this.#reservations = new IndexReservations(nodeName, table);
    this.#groups = new GroupAgreement({ table, store, log });
    this.#replication = new Replication(
      { nodeName, replicationTimeoutMs: options.replicationTimeoutMs },
      {
        store,
        files,
        network: ports.network,
        membership: this.#membership,
        clock,
        random,
        log,
        onIndexesReserved: (category, before) => this.#reservations.note(category, before),
      },
    );
    const { nodeLostAfterMs } = options;
    this.#lost = new LostNodes({
      nodeName,
      nodeLostAfterMs,
      table,
      store,
      replication: this.#replication,
      clock,
      log,
    });
  }

  /**
   * Begins to exchange messages with the others. Throws `membership_refused` when another process runs under the
   * same name, or the cluster does not take the node.
   *
   * @param listenUrl the address that is listened on
   */
  async start(listenUrl: string): Promise<void> {
    const { table, clock } = this.#ports;
    await this.#membership.enter(this.#options.advertisedUrl ?? listenUrl);
    this.#replication.start();
    for (const { name, nextOwnIndex } of this.#ports.store.openCategories) {
      this.#reservations.note(name, nextOwnIndex);
    }
    this.#reconcile();
    const onChange = (): void => {
      if (this.#stop.signal.aborted) return;
      this.#membership.note();
      void table.coordinator.changed.wait({ clock, signal: this.#stop.signal }).then(onChange);
    };
    onChange();
  }

  /**
   * Takes no more writes, seals, and waits until what is only here is at another node, for a few seconds at most;
   * says what is not.
   */
  async drain(): Promise<void> {
    const { store, clock, log } = this.#ports;
    this.#isStopping = true;
    await Promise.all([...store.openCategories].map((category) => category.seal()));
    const deadlineMs = clock.monotonicMs() + stopMsMax;
    const isDone = (): boolean => this.#replication.isIdle && this.#replication.bytesHereOnly === 0;
    while (this.#replication.board.peers.length > 0 && !isDone()) {
      if (clock.monotonicMs() > deadlineMs) break;
      await sleep(clock, stopPollMs);
    }
    const bytes = this.#replication.bytesHereOnly;
    if (bytes > 0) log.warn('Stopped with messages that no other node has yet.', { bytes });
  }

  /** Ends all streams; resolves when nothing is received any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    await this.#replication.close();
    await this.#reconciling;
    await this.#lost.close();
    await this.#ports.table.coordinator.close();
  }

  get isDraining(): boolean {
    return this.#membership.isDraining;
  }

  refusal(replicaCount: number): ChukchaError | undefined {
    const refusal = this.#membership.refusal ?? (this.#isStopping ? drainingError() : undefined);
    if (refusal !== undefined) return refusal;
    const connected = this.#replication.board.peers.length;
    if (replicaCount <= connected) return undefined;
    const { nodeName } = this.#ports.identity;
    return new ChukchaError(
      'too_few_replicas',
      `min_sync_replicas is ${replicaCount}, but ${connected} of the ${this.#membership.peers.length} peers of ${nodeName} are connected: write with less, or again later; nothing was stored.`,
      { fields: { wanted: replicaCount, replicas: connected } },
    );
  }

  wantDurable(category: string): () => void {
    return this.#replication.board.wantDurable(category);
  }

  wait(batch: ReplicatedBatch): void {
    const { owner, index } = checkChunkName(batch.chunk);
    if (owner === this.#ports.identity.nodeName) {
      const { category, replicaCount, isDurable } = batch;
      this.#replication.board.wait({
        category,
        end: { index, offset: batch.end },
        replicaCount,
        isDurable,
        confirmed: () => batch.confirmed(),
        overdue: (count) => batch.overdue(count),
      });
    } else this.#waitForHolders(batch);
  }

  acceptReplica(hello: ReplicaHello, socket: Socket, bytes: Buffer): void {
    this.#replication.accept(hello, () => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\n\r\n`,
      );
      return acceptedChannel(socket, bytes);
    });
  }

  registerGroup(category: string, group: string, from: GroupStart): Promise<GroupRegistration> {
    return this.#groups.register(category, group, from);
  }

  removeGroup(category: string, group: string): Promise<GroupRemoval> {
    return this.#groups.remove(category, group);
  }

  async changeMember(name: string, change: NodeChange, force: boolean): Promise<void> {
    const { table } = this.#ports;
    await table.changeMember(name, (before) => changedMember(table, name, before, change, force));
  }

  status(): ClusterStatus {
    const { table, identity } = this.#ports;
    const { isAvailable, problem, answeredMsAgo } = table.coordinator.status;
    const peers = new Map(this.#replication.peers().map((peer) => [peer.name, peer]));
    return {
      name: this.#options.name,
      coordination: {
        available: isAvailable,
        problem: problem ?? null,
        answeredSecondsAgo:
          answeredMsAgo === undefined ? null : Math.round(answeredMsAgo / 100) / 10,
      },
      bytesHereOnly: this.#replication.bytesHereOnly,
      members: table.members.flatMap((member) =>
        member.state === 'removed'
          ? []
          : this.#memberStatus(member, member.name === identity.nodeName, peers.get(member.name)),
      ),
    };
  }

  /** What others lack of what is here; for the metrics, because a status would become long by it. */
  replicationFigures(): ReplicationFigures {
    return this.#replication.figures();
  }

  #memberStatus(
    { name, url, state }: Member,
    self: boolean,
    peer: PeerStatus | undefined,
  ): MemberStatus {
    const { clock, table } = this.#ports;
    const nowMs = clock.monotonicMs();
    const heardMs = self ? 0 : peer?.heardAtMs === undefined ? undefined : nowMs - peer.heardAtMs;
    return {
      name,
      url,
      state: state as MemberStatus['state'],
      drained: table.isDrained(name),
      self,
      receiving: self || (peer?.isReceiving ?? false),
      sending: self || (peer?.isSending ?? false),
      behindBytes: self ? 0 : (peer?.behindBytes ?? null),
      heardSecondsAgo: heardMs === undefined ? null : Math.floor(heardMs / 1_000),
      problem: peer?.problem ?? null,
    };
  }

  /** A batch that was stored by another node before: this node has a copy, and so may others. */
  #waitForHolders(batch: ReplicatedBatch): void {
    const { clock } = this.#ports;
    const deadlineMs = clock.monotonicMs() + this.#options.replicationTimeoutMs;
    const look = (): void => {
      // The owner counts as the node that stored it, and this one as the first of its peers.
      const count = this.#replication.holderCount(batch.category, batch.chunk, batch.end);
      if (Math.max(1, count) >= batch.replicaCount) batch.confirmed();
      else if (clock.monotonicMs() >= deadlineMs) batch.overdue(Math.max(1, count));
      else clock.after(holderPollMs, look);
    };
    look();
  }

  #reconcile(): void {
    this.#reconciling = this.#agree()
      .catch((error: unknown) => {
        this.#ports.log.warn(
          'What the nodes agree on could not be put in step; it is tried again.',
          {
            error: errorMessage(error),
          },
        );
      })
      .finally(() => {
        if (this.#stop.signal.aborted) return;
        this.#timer = this.#ports.clock.after(reconcileMs, () => this.#reconcile());
      });
  }

  async #agree(): Promise<void> {
    const { isAvailable, isCurrent } = this.#ports.table.coordinator.status;
    this.#lost.tick();
    await this.#groups.takeIn();
    if (!isAvailable || !isCurrent) return;
    await this.#membership.keep();
    await this.#reservations.publish();
    await this.#groups.publish();
    await this.#tellDrained();
  }

  /** Says when nothing is here any more that others do not have. */
  async #tellDrained(): Promise<void> {
    const { table, identity } = this.#ports;
    const isDrained =
      this.isDraining &&
      this.#replication.peers().length > 0 &&
      this.#replication.peers().every(({ behindBytes }) => behindBytes === 0);
    await table.setDrained(identity.nodeName, isDrained);
  }
}
