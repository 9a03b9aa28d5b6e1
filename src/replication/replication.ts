import type { Clock, Timer } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { parseChunkName } from '../protocol/names.js';
import type { ReplicaHello } from '../protocol/replication.js';
import type { Category } from '../storage/category.js';
import { drainingError } from '../storage/category-writer.js';
import type { Chunk } from '../storage/chunk.js';
import type { OpenFiles } from '../storage/open-files.js';
import type { Store } from '../storage/store.js';
import type { StoreListener } from '../storage/store-listener.js';
import type { Channel, Network } from './channel.js';
import { type ReplicationParts, tickMs } from './limits.js';
import type { Membership } from './membership.js';
import { PeerLink } from './peer-link.js';
import { PositionBoard } from './position-board.js';
import { Repairs } from './repairs.js';
import { ReplicaIntake } from './replica-intake.js';
import { type CategoryLag, ReplicationLag } from './replication-lag.js';
import { SourceFeed } from './source-feed.js';

export interface ReplicationOptions {
  readonly nodeName: string;
  /** How long a write waits for peers before it is answered that they did not confirm it, in milliseconds. */
  readonly replicationTimeoutMs: number;
}

export interface ReplicationPorts {
  readonly store: Store;
  readonly files: OpenFiles;
  readonly network: Network;
  readonly membership: Membership;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** As `StoreListener.indexesReserved`. */
  readonly onIndexesReserved: (category: string, before: number) => void;
}

/** What others lack of what is here, as it is counted when somebody asks. */
export interface ReplicationFigures {
  readonly categories: readonly CategoryLag[];
  /** How many acknowledged chunks there are of which a peer has not confirmed that it knows so, by peer. */
  readonly pendingAcks: ReadonlyMap<string, number>;
}

/** How far a peer is with this node's chunks, and this node with what the peer sends. */
export interface PeerStatus {
  readonly name: string;
  readonly url: string;
  /** Whether this node gets the peer's chunks, and whether the peer gets this node's. */
  readonly isReceiving: boolean;
  readonly isSending: boolean;
  /** Bytes of this node's own chunks that the peer has not got; `undefined` while it is not connected. */
  readonly behindBytes: number | undefined;
  /** Why nothing is received; `undefined` when it is. */
  readonly problem: string | undefined;
  /** When something was heard of it last, by the monotonic clock; `undefined` when never since the start. */
  readonly heardAtMs: number | undefined;
}

/**
 * Keeps this node and its peers in step: every node opens a stream to every other one and takes what that sends. No
 * node leads; each sends its own chunks as they grow, and any that it holds when it is asked.
 */
export class Replication implements StoreListener {
  readonly board: PositionBoard;
  readonly #lag: ReplicationLag;
  readonly #ports: ReplicationPorts;
  readonly #parts: ReplicationParts;
  readonly #links = new Map<string, PeerLink>();
  readonly #intakes = new Map<string, ReplicaIntake>();
  readonly #feeds = new Map<string, SourceFeed>();
  readonly #repairs: Repairs;
  readonly #heardAtMs = new Map<string, number>();
  /** By category and peer: the number below which the peer knows all sizes of acknowledged chunks. */
  readonly #knownSizes = new Map<string, Map<string, number>>();
  readonly #stop = new AbortController();
  #timer: Timer | undefined;

  constructor(options: ReplicationOptions, ports: ReplicationPorts) {
    const { nodeName } = options;
    const { store, files, clock, log } = ports;
    this.#ports = ports;
    this.#parts = { nodeName, store, files, clock, log };
    this.board = new PositionBoard(clock, options.replicationTimeoutMs);
    this.#lag = new ReplicationLag({ store, board: this.board });
    this.#repairs = new Repairs({
      ...this.#parts,
      membership: ports.membership,
      intakes: this.#intakes,
    });
  }

  start(): void {
    this.#ports.store.listen(this);
    this.#tick();
    void this.#followMembership();
  }

  /** Ends all streams; resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    this.board.close();
    for (const feed of this.#feeds.values()) feed.close('the node stops');
    const intakes = [...this.#intakes.values()];
    for (const intake of intakes) intake.close('the node stops');
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    await Promise.all(intakes.map((intake) => intake.settle()));
  }

  /**
   * Takes over a stream that a peer has opened; a newer one of the same peer replaces the older. Throws
   * `membership_refused`, or `draining` when this node stops, before anything is sent.
   *
   * @param open makes the stream one
   */
  accept(hello: ReplicaHello, open: () => Channel): void {
    if (this.#stop.signal.aborted) throw drainingError();
    this.#ports.membership.check(hello);
    const { node } = hello;
    this.#feeds.get(node)?.close('it was opened anew');
    const feed = new SourceFeed(node, open(), {
      ...this.#parts,
      board: this.board,
      onAcksTaken: (category, next) => this.#noteKnownSizes(node, category, next),
      onClosed: (closed, reason) => this.#feedClosed(closed, reason),
    });
    this.#feeds.set(node, feed);
    this.#ports.log.debug('A peer has opened a stream and is sent what it lacks.', { peer: node });
    this.#heardAtMs.set(node, this.#ports.clock.monotonicMs());
    feed.start();
  }

  ownGrown(category: Category): void {
    for (const feed of this.#feeds.values()) feed.ownGrown(category);
  }

  chunkChanged(category: Category, chunk: Chunk): void {
    for (const feed of this.#feeds.values()) feed.chunkChanged(category, chunk);
    if (chunk.state === 'removed') this.#repairs.note(category.name);
  }

  acksChanged(category: Category): void {
    for (const feed of this.#feeds.values()) feed.acksChanged(category);
    this.#repairs.note(category.name);
  }

  firstMissing(categoryName: string, owner: string): number | undefined {
    const category = this.#ports.store.openCategory(categoryName);
    return category === undefined ? undefined : this.#repairs.firstMissing(category, owner);
  }

  isHeldElsewhere(category: string, chunk: Chunk): boolean {
    return this.#repairs.isHeldElsewhere(category, chunk);
  }

  indexesReserved(category: string, before: number): void {
    this.#ports.onIndexesReserved(category, before);
  }

  /** How many connected peers hold a chunk that another node wrote at least up to an offset. */
  holderCount(category: string, chunkName: string, end: number): number {
    const owner = parseChunkName(chunkName)?.owner ?? '';
    let count = 0;
    for (const intake of this.#intakes.values()) {
      const held = intake.inventory.find(category, chunkName);
      if (intake.peer === owner || (held !== undefined && held.size >= end)) count += 1;
    }
    return count;
  }

  /** What the connected peers hold of a chunk, by peer. */
  holders(category: string, chunkName: string) {
    return [...this.#intakes].flatMap(([peer, { inventory }]) => {
      const held = inventory.find(category, chunkName);
      return held === undefined ? [] : { peer, ...held };
    });
  }

  /** Whether all that a peer holds is known. */
  isHeard(peer: string): boolean {
    return this.#intakes.get(peer)?.inventory.isWhole ?? false;
  }

  peers(): PeerStatus[] {
    return this.#ports.membership.peers.map(({ name, url }) => {
      const isReceiving = this.#intakes.has(name);
      const isSending = this.board.peers.includes(name);
      return {
        name,
        url,
        isReceiving,
        isSending,
        behindBytes: isSending ? this.#lag.bytesBehind(name) : undefined,
        problem: isReceiving ? undefined : this.#links.get(name)?.problem,
        heardAtMs: this.#heardAtMs.get(name),
      };
    });
  }

  /** Bytes of this node's own chunks that no connected peer has. */
  get bytesHereOnly(): number {
    return this.#lag.bytesHereOnly;
  }

  figures(): ReplicationFigures {
    const { membership } = this.#ports;
    return {
      categories: this.#lag.byCategory(),
      pendingAcks: new Map(membership.peers.map(({ name }) => [name, this.#pendingAckCount(name)])),
    };
  }

  /** Whether every connected peer was sent all that there is for it. */
  get isIdle(): boolean {
    return [...this.#feeds.values()].every((feed) => feed.isIdle);
  }

  #pendingAckCount(peer: string): number {
    let count = 0;
    for (const { name, acks } of this.#ports.store.openCategories) {
      count += acks.sizes.countSince(this.#knownSizes.get(name)?.get(peer) ?? 0);
    }
    return count;
  }

  #noteKnownSizes(peer: string, categoryName: string, next: number): void {
    const category = this.#ports.store.openCategory(categoryName);
    // A peer was told of none that is not here, and what it makes up must not be kept.
    if (category === undefined) return;
    const known = this.#knownSizes.get(categoryName) ?? new Map<string, number>();
    this.#knownSizes.set(categoryName, known);
    known.set(peer, next);
    const numbers = this.#ports.membership.peers.map(({ name }) => known.get(name) ?? 0);
    if (numbers.length > 0) category.forgetAckedSizes(Math.min(...numbers));
  }

  #feedClosed(feed: SourceFeed, reason: string): void {
    if (this.#feeds.get(feed.peer) !== feed) return;
    this.#feeds.delete(feed.peer);
    this.board.disconnect(feed.peer);
    if (!this.#stop.signal.aborted) {
      this.#ports.log.warn('The stream to a peer has ended.', { peer: feed.peer, reason });
    }
  }

  /** Has a stream from each peer, and none from who is no peer any more. */
  async #followMembership(): Promise<void> {
    const { membership, clock } = this.#ports;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const peers = new Map(membership.peers.map((peer) => [peer.name, peer]));
      for (const [name, link] of this.#links) {
        if (peers.get(name)?.url === link.peer.url) continue;
        this.#links.delete(name);
        this.#intakes.get(name)?.close('it is no peer any more, or is reached elsewhere');
        if (!peers.has(name)) this.#feeds.get(name)?.close('it is no peer any more');
        await link.close();
      }
      for (const peer of peers.values()) {
        if (!this.#links.has(peer.name) && !signal.aborted) this.#connect(peer);
      }
      await membership.changed.wait({ clock, signal, timeoutMs: tickMs });
    }
  }

  #connect(peer: { readonly name: string; readonly url: string }): void {
    const { network, clock, random, log, membership } = this.#ports;
    const link = new PeerLink(peer, {
      network,
      clock,
      random,
      log,
      hello: () => membership.hello,
      use: (channel) => this.#useIntake(peer.name, channel),
    });
    this.#links.set(peer.name, link);
  }

  #useIntake(peer: string, channel: Channel): Promise<string> {
    return new Promise((resolve) => {
      const intake = new ReplicaIntake(peer, channel, {
        ...this.#parts,
        onNews: (category) => this.#noteNews(category),
        onServed: (_intake, place) => this.#repairs.served(place),
        onClosed: (closed, reason) => {
          if (this.#intakes.get(peer) === closed) this.#intakes.delete(peer);
          this.#noteNews(undefined);
          void closed.settle().then(() => resolve(reason));
        },
      });
      this.#intakes.set(peer, intake);
      intake.start();
    });
  }

  /** What is missing here may be another chunk than before, and readers see others then. */
  #noteNews(categoryName: string | undefined): void {
    this.#repairs.note(categoryName);
    for (const category of this.#ports.store.openCategories) {
      if (category.name === (categoryName ?? category.name)) category.noteMissing();
    }
  }

  #tick(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const feed of [...this.#feeds.values()]) {
      this.#heardAtMs.set(feed.peer, nowMs);
      feed.tick(nowMs);
    }
    for (const intake of [...this.#intakes.values()]) {
      this.#heardAtMs.set(intake.peer, nowMs);
      intake.tick(nowMs);
    }
    this.board.expire(nowMs);
    try {
      this.#repairs.tick(nowMs);
    } catch (error) {
      this.#ports.log.error('What is missing here could not be looked for.', {
        error: errorMessage(error),
      });
    }
    if (!this.#stop.signal.aborted) {
      this.#timer = this.#ports.clock.after(tickMs, () => this.#tick());
    }
  }
}
